"""RTP (RFC 3550 §5): reading packets, and numbering the packets of one outgoing stream."""

from collections.abc import Hashable
from struct import Struct
from typing import Final, NamedTuple

from bridge.errors import RemoteProtocolError

CLOCK_RATE: Final = 48_000
"""RTP clock of Opus, whatever rate it was encoded at (RFC 7587 §4.1)."""

PACKET_SAMPLES: Final = 960
"""20 ms at the RTP clock."""

HEADER_BYTES: Final = 12

PLAIN: Final = 0x8000
"""Form of a packet with neither padding nor extension nor CSRCs, to which its type is added."""
EXTENDED: Final = 0x1000
"""Bit of the form that is set when an extension follows the header."""
MARKER: Final = 0x80
"""Bit of the form that is the marker."""

_TIMESTAMPS_PER_SAMPLE: Final = 3  # 48 kHz over the bus' 16 kHz
_SEQUENCE_MASK: Final = 0xFFFF
_TIMESTAMP_MASK: Final = 0xFFFF_FFFF
_HALF_RANGE: Final = 1 << 31
_MAX_ADVANCE: Final = _HALF_RANGE - PACKET_SAMPLES

_MAX_LOSS: Final = 100
"""A gap in a relayed source's sequence that is longer than this is no loss but a pause."""
_WINDOW: Final = 64
_ALL_SENT: Final = (1 << _WINDOW) - 1
"""Which of the newest `_WINDOW` sequence numbers were sent, the newest in the lowest bit."""

_HEADER: Final = Struct("!BBHII")
_EXTENSION: Final = Struct("!HH")
read_form: Final = Struct("!HHII").unpack_from
"""Reads a header of at least `HEADER_BYTES`: form, sequence, timestamp, SSRC.

The form is what the first two bytes say; where it is `PLAIN`, the payload begins after the header.
"""
_pack_header = _HEADER.pack
_unpack_header = _HEADER.unpack_from

_NO_TIMELINE: Final = object()


class RtpPacket(NamedTuple):
    """One received packet; CSRCs and padding are stripped."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    """May be empty (a packet of padding only)."""
    extension_profile: int = 0
    """The 16 bits before the header extension's length; 0 without an extension."""
    extension: bytes = b""
    """Content of the header extension, undecoded (RFC 8285)."""


def after_extension(data: bytes) -> int:
    """Tell where the payload of a packet begins whose form is `PLAIN` and `EXTENDED`.

    It may be beyond the end of a packet that is cut off.
    """
    if len(data) < HEADER_BYTES + 4:
        return len(data)
    words: int = _EXTENSION.unpack_from(data, HEADER_BYTES)[1]
    return HEADER_BYTES + 4 + 4 * words


def parse_packet(data: bytes) -> RtpPacket:
    """Read one packet.

    Raises:
        RemoteProtocolError: It is not RTP version 2, or shorter than its own header says.
    """
    if len(data) < HEADER_BYTES:
        raise RemoteProtocolError("the RTP packet is shorter than its header")
    flags, kind, sequence, timestamp, ssrc = _unpack_header(data)
    if flags == 0x80:  # nothing to strip: nearly every packet
        return RtpPacket(kind & 127, kind > 127, sequence, timestamp, ssrc, data[12:])
    if flags >> 6 != 2:
        raise RemoteProtocolError("the packet is not RTP version 2")
    start, end = HEADER_BYTES + 4 * (flags & 15), len(data)
    profile, extension = 0, b""
    if flags & 0x10:
        if start + 4 > end:
            raise RemoteProtocolError("the RTP header extension is cut off")
        profile, words = _EXTENSION.unpack_from(data, start)
        start += 4
        extension = data[start : start + 4 * words]
        start += 4 * words
    if flags & 0x20:
        if data[-1] == 0:
            raise RemoteProtocolError("the RTP padding has no length")
        end -= data[-1]
    if start > end:
        raise RemoteProtocolError("the RTP packet is shorter than its header says")
    payload = data[start:end]
    return RtpPacket(kind & 127, kind > 127, sequence, timestamp, ssrc, payload, profile, extension)


class OutgoingStream:
    """The one owner of SSRC, sequence, timestamp and marker of an outgoing stream.

    Every packet of the stream is stamped here, so that no sequence number (with its roll-over) is
    ever given to two packets: under SRTP that would encrypt both with the same key stream.
    """

    __slots__ = (
        "_end",
        "_event",
        "_offset",
        "_relayed",
        "_sent",
        "_sequence",
        "_timeline",
        "_timestamp",
        "dropped",
        "last_time",
        "octets",
        "packets",
        "payload_type",
        "ssrc",
    )

    def __init__(self, *, ssrc: int, payload_type: int, sequence: int, timestamp: int) -> None:
        """Begin a stream whose first packet has the given sequence and timestamp.

        Both should be unpredictable; a sequence below 2^15 keeps a loss right after the start from
        confusing the receiver's SRTP roll-over counter (RFC 3711 §3.3.1).
        """
        self.ssrc = ssrc
        self.payload_type = payload_type
        self.packets = 0
        self.octets = 0
        """Payload bytes, as far as `count_payload` was told."""
        self.dropped = 0
        """Frames refused because their time had already been sent."""
        self.last_time = 0.0
        """When `last_timestamp` was first sent; meaningless before the first packet."""
        # Sequence and timestamps count on without wrapping; only the header wraps them.
        self._sequence = sequence
        self._timestamp = timestamp  # of the last packet
        self._end = timestamp  # first timestamp that has not been sent
        self._timeline: Hashable = _NO_TIMELINE
        self._offset = 0  # RTP timestamp of position 0 of the current timeline
        self._event = False  # the last packet belonged to an event
        self._relayed = 0  # the source's number of the newest relayed packet
        self._sent = 0  # see _ALL_SENT; 0 while nothing is relayed

    @property
    def last_timestamp(self) -> int:
        """RTP timestamp of the last packet (of the start, before the first one)."""
        return self._timestamp & _TIMESTAMP_MASK

    def stamp(
        self, frame_pts: int, timeline: Hashable, now: float, samples: int = PACKET_SAMPLES
    ) -> bytes | None:
        """Give the 12-byte header of the next packet, which holds the frame at `frame_pts`.

        Within one timeline the source's spacing is carried over. When the timeline is another than
        the last packet's, the timestamp goes on by the time that has passed, in whole packets. The
        marker is set wherever the sound does not join on to the last packet (RFC 3551 §4.1).

        Args:
            frame_pts: Position on the timeline, in samples at 16 kHz.
            timeline: What `frame_pts` counts on.
            now: Monotonic seconds.
            samples: Length of the packet at 48 kHz.

        Returns:
            None, counted in `dropped`, when the frame's time has already been sent.
        """
        timestamp = frame_pts * _TIMESTAMPS_PER_SAMPLE + self._offset
        kind = self.payload_type
        # Nearly every frame joins on to the last one: that is asked first.
        if timestamp != self._end or timeline is not self._timeline:
            if timeline != self._timeline or timestamp - self._timestamp >= _HALF_RANGE:
                timestamp = self._resume_at(now)
                self._timeline = timeline
                self._offset = timestamp - frame_pts * _TIMESTAMPS_PER_SAMPLE
                kind |= 0x80
            elif timestamp < self._end:
                self.dropped += 1
                return None
            elif timestamp != self._end:
                kind |= 0x80
        sequence = self._sequence
        self._sequence = sequence + 1
        self._timestamp = timestamp
        self._end = timestamp + samples
        self._event = False
        self._sent = 0
        self.last_time = now
        self.packets += 1
        return _pack_header(0x80, kind, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, self.ssrc)

    def stamp_relayed(
        self, sequence: int, position: int, timeline: Hashable, now: float, samples: int
    ) -> bytes | None:
        """Give the header of a packet that is passed on as it came.

        From one relayed packet to the next, the gaps and the order of the source's sequence are
        kept; a packet that was overtaken gets the number that was left free for it. The first one
        after anything else, or after a long gap, goes on with the next number. Timestamps and
        marker are as in `stamp`.

        Args:
            sequence: The source's, 16 bits.
            position: On the timeline, in samples at 48 kHz.
            timeline: What `position` counts on, as in `stamp`.
            now: Monotonic seconds.
            samples: Length of the packet at 48 kHz.

        Returns:
            None, counted in `dropped`, when its number or its time has already been sent.
        """
        timestamp = position + self._offset
        ahead, kind = 1, self.payload_type
        if (
            timestamp == self._end
            and timeline is self._timeline
            and self._sent == _ALL_SENT
            and sequence == (self._relayed + 1) & 0xFFFF
        ):
            pass  # nearly every packet: it joins on to the last one, and none is missing
        elif timeline != self._timeline or timestamp - self._timestamp >= _HALF_RANGE:
            timestamp = self._resume_at(now)
            self._timeline = timeline
            self._offset = timestamp - position
            kind |= 0x80
            self._sent = _ALL_SENT
        else:
            if self._sent:
                ahead = ((sequence - self._relayed + 0x8000) & _SEQUENCE_MASK) - 0x8000
                if ahead <= 0 and timestamp < self._timestamp:
                    return self._stamp_overtaken(-ahead, timestamp)
            if timestamp < self._end:
                self.dropped += 1
                return None
            if not 0 < ahead <= _MAX_LOSS:
                ahead = 1
            if ahead == 1 and timestamp != self._end:
                kind |= 0x80
            self._sent = ((self._sent or _ALL_SENT) << ahead | 1) & _ALL_SENT
        number = self._sequence + ahead - 1
        self._sequence = number + 1
        self._relayed = sequence
        self._timestamp = timestamp
        self._end = timestamp + samples
        self._event = False
        self.last_time = now
        self.packets += 1
        return _pack_header(0x80, kind, number & 0xFFFF, timestamp & 0xFFFF_FFFF, self.ssrc)

    def stamp_event(
        self, payload_type: int, *, begin: bool, samples: int, now: float
    ) -> bytes | None:
        """Give the header of the next packet of a telephone event (RFC 4733 §2.5.1).

        All packets of an event carry the timestamp of its beginning. Frames of sound whose time
        lies inside the event are dropped by `stamp`.

        Args:
            payload_type: Of telephone-event.
            begin: Whether this is the first packet of the event.
            samples: Time the event covers so far, at 48 kHz whatever its own clock.
            now: Monotonic seconds.

        Returns:
            None when sound has been sent since the event began: the event is over then.
        """
        kind = payload_type
        if begin:
            self._timestamp = self._resume_at(now)
            self._event = True
            self.last_time = now
            kind |= 0x80
        elif not self._event:
            return None
        self._end = max(self._end, self._timestamp + samples)
        self._sent = 0
        sequence = self._sequence
        self._sequence = sequence + 1
        self.packets += 1
        return _pack_header(
            0x80,
            kind,
            sequence & _SEQUENCE_MASK,
            self._timestamp & _TIMESTAMP_MASK,
            self.ssrc,
        )

    def count_payload(self, octets: int) -> None:
        """Count the payload of a stamped packet, for sender reports."""
        self.octets += octets

    def timestamp_at(self, now: float) -> int:
        """RTP timestamp that belongs to `now`, for sender reports (RFC 3550 §6.4.1)."""
        elapsed = round((now - self.last_time) * CLOCK_RATE) if self.packets else 0
        return (self._timestamp + elapsed) & _TIMESTAMP_MASK

    def _stamp_overtaken(self, behind: int, timestamp: int) -> bytes | None:
        """Give a relayed packet the number that was left free for it."""
        if (
            behind >= _WINDOW
            or self._sent >> behind & 1
            or self._timestamp - timestamp >= _HALF_RANGE
        ):
            self.dropped += 1
            return None
        self._sent |= 1 << behind
        self.packets += 1
        number = self._sequence - 1 - behind
        return _pack_header(
            0x80,
            self.payload_type,
            number & _SEQUENCE_MASK,
            timestamp & _TIMESTAMP_MASK,
            self.ssrc,
        )

    def _resume_at(self, now: float) -> int:
        if not self.packets:
            return self._timestamp
        elapsed = round((now - self.last_time) * CLOCK_RATE / PACKET_SAMPLES) * PACKET_SAMPLES
        # A longer pause would look like a step back to a receiver.
        return max(self._timestamp + min(elapsed, _MAX_ADVANCE), self._end)
