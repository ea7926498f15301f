"""The header fields of one outgoing RTP stream: sequence, timestamp and marker (RFC 3550 §5.1)."""

import math
from collections.abc import Hashable
from typing import Final, NamedTuple, Self

from bridge.wire.rtp.packet import CLOCK_RATE, HEADER, PACKET_SAMPLES
from bridge.wire.rtp.stream_state import StreamState
from bridge.wire.rtp.used_numbers import Ledger, UsedNumbers

_TIMESTAMPS_PER_SAMPLE: Final = 3  # 48 kHz over the bus' 16 kHz
_HALF_RANGE: Final = 1 << 31
_MAX_ADVANCE: Final = _HALF_RANGE - PACKET_SAMPLES

_MAX_LOSS: Final = 100
"""A longer gap in a forwarded source's sequence is a pause, not loss."""
_WINDOW: Final = 64
_ALL_SENT: Final = (1 << _WINDOW) - 1
"""Bit mask of the newest `_WINDOW` sequence numbers sent, the newest in the lowest bit."""

_pack_header = HEADER.pack
_NO_EPOCH: Final = object()


class StreamStart(NamedTuple):
    """The numbers an outgoing stream begins with, all to be random (RFC 3550 §5.1)."""

    ssrc: int
    sequence: int
    """15 bits, so that loss at the start cannot desynchronise SRTP's roll-over counter."""
    timestamp: int
    """32 bits."""


class Numbering(NamedTuple):
    """Where an outgoing stream stands, so that another one can go on without using a number twice."""

    ssrc: int
    payload_type: int
    clock_rate: int
    sequence: int
    """Of the next packet; not wrapped, so that SRTP's roll-over counter is in its upper bits."""
    timestamp: int
    """Of the last packet, at 48 kHz; not wrapped."""
    end: int
    """The first timestamp that has not been sent, at 48 kHz; not wrapped."""
    last_time: float
    """When the last timestamp was first sent; in monotonic seconds."""
    packets: int
    octets: int
    dropped: int
    event: bool = False
    """Whether the last packet belonged to a telephone event, which may go on."""


class OutgoingStream:
    """The only owner of SSRC, sequence, timestamp and marker of an outgoing stream.

    Every packet is stamped here, so that no sequence number (with its roll-over) is used for two
    packets: SRTP would encrypt both with the same key stream.
    """

    __slots__ = (
        "_end",
        "_epoch",
        "_event",
        "_forwarded",
        "_ledger",
        "_offset",
        "_reserved",
        "_sent",
        "_sequence",
        "_tick",
        "_timestamp",
        "dropped",
        "last_time",
        "octets",
        "packets",
        "payload_type",
        "ssrc",
        "used",
    )

    def __init__(
        self,
        *,
        ssrc: int,
        payload_type: int,
        sequence: int,
        timestamp: int,
        clock_rate: int = CLOCK_RATE,
    ) -> None:
        """Create a stream with the sequence and timestamp of its first packet.

        Both should be unpredictable; a sequence below 2^15 protects the receiver's SRTP roll-over
        counter from an early loss (RFC 3711 §3.3.1). Positions are at 48 kHz, whatever the clock.
        """
        self._tick = CLOCK_RATE // clock_rate
        self.ssrc = ssrc
        self.payload_type = payload_type
        self.packets = 0
        self.octets = 0
        """Payload bytes, as counted by `count_payload`."""
        self.dropped = 0
        """Frames dropped because their time had already been sent."""
        self.last_time = 0.0
        """When the timestamp of the last packet was first sent; meaningless before the first packet."""
        # Sequence and timestamps are not wrapped here, only in the header, nor is their clock used.
        self._sequence = sequence
        self._timestamp = timestamp * self._tick  # of the last packet
        self._end = self._timestamp  # first timestamp that has not been sent
        self._epoch: Hashable = _NO_EPOCH
        self._offset = 0  # timestamp of position 0 of the current epoch
        self._event = False  # whether the last packet belonged to an event
        self._forwarded = 0  # the source's sequence of the newest forwarded packet
        self._sent = 0  # see _ALL_SENT; 0 while nothing is forwarded
        self._reserved: float = math.inf  # the first number that must not be used without noting it
        self._ledger: Ledger | None = None
        self.used: UsedNumbers | None = None
        """Where that is noted."""

    @classmethod
    def resumed(cls, numbering: Numbering) -> Self:
        """Return a stream that goes on where another stood; its first packet begins a new media epoch."""
        stream = cls(
            ssrc=numbering.ssrc,
            payload_type=numbering.payload_type,
            sequence=numbering.sequence,
            timestamp=0,
            clock_rate=numbering.clock_rate,
        )
        stream._timestamp, stream._end = numbering.timestamp, numbering.end
        stream.last_time = numbering.last_time
        stream.packets, stream.octets = numbering.packets, numbering.octets
        stream.dropped, stream._event = numbering.dropped, numbering.event
        return stream

    def noted(self, ledger: Ledger | None) -> Self:
        """Note in a ledger from now on, before a number is used, that it may have been; return the stream."""
        self._ledger, self.used = ledger, None if ledger is None else ledger.open(self.ssrc)
        self._reserve(self._sequence)
        return self

    def instead_of(self, former: "OutgoingStream") -> Self:
        """Note them where another stream has, which has ended; return the stream."""
        former.close()
        return self.noted(former._ledger)

    def close(self) -> None:
        """Note nothing any more: nothing is sent."""
        if self.used is not None:
            self.used.close()

    def used_since(self, sequence: int) -> int:
        """Return how many sequence numbers come after one that was used, of which the lower 16 bits are given."""
        return (self._sequence - 1 - sequence) & 0xFFFF

    def numbering(self) -> Numbering:
        """Return where the stream stands."""
        return Numbering(
            ssrc=self.ssrc,
            payload_type=self.payload_type,
            clock_rate=CLOCK_RATE // self._tick,
            sequence=self._sequence,
            timestamp=self._timestamp,
            end=self._end,
            last_time=self.last_time,
            packets=self.packets,
            octets=self.octets,
            dropped=self.dropped,
            event=self._event,
        )

    def export_state(self, state: StreamState, epoch: Hashable, *, forwarded: bool) -> bool:
        """Copy the numbers to an offload for what continues the stream within a media epoch, frames or forwarded packets.

        Returns:
            False if the last packet was of another media epoch or kind.
        """
        if epoch is not self._epoch or self._event or bool(self._sent) is not forwarded:
            return False
        state.ssrc, state.payload_type = self.ssrc, self.payload_type
        state.sequence, state.timestamp = self._sequence, self._timestamp
        state.end, state.offset = self._end, self._offset
        state.forwarded, state.sent = self._forwarded & 0xFFFF, self._sent
        state.packets, state.octets = self.packets, self.octets
        state.dropped, state.last_time = self.dropped, self.last_time
        state.used = 0 if self.used is None else self.used.address
        return True

    def import_state(self, state: StreamState) -> None:
        """Copy the numbers back."""
        self._sequence, self._timestamp = state.sequence, state.timestamp
        self._end = state.end
        self._forwarded, self._sent = state.forwarded, state.sent
        self.packets, self.octets = state.packets, state.octets
        self.dropped, self.last_time = state.dropped, state.last_time

    def continues(self, epoch: Hashable) -> bool:
        """Return whether the last packet was of this media epoch."""
        return epoch is self._epoch

    def switch_to(self, payload_type: int, clock_rate: int) -> None:
        """Go on with another payload type, and the timestamps at its clock (RFC 7160 §4.1)."""
        self.payload_type = payload_type
        tick = CLOCK_RATE // clock_rate
        if tick != self._tick:
            self._end = -(-self._end // self._tick) * tick
            self._timestamp = self._timestamp // self._tick * tick
            self._tick = tick
            self._epoch = _NO_EPOCH
            self._event = False
            self._sent = 0

    def stamp(
        self, frame_pts: int, epoch: Hashable, now: float, samples: int = PACKET_SAMPLES
    ) -> bytes | None:
        """Return the 12-byte header of the next packet, which carries the frame at `frame_pts`.

        Within a media epoch the source's spacing is kept; when the epoch changes, the timestamp
        advances by the elapsed time in whole packets. The marker is set wherever the audio does not
        continue the last packet (RFC 3551 §4.1).

        Args:
            frame_pts: Position on `epoch`, in samples at 16 kHz.
            epoch: As in `Frame`.
            now: Monotonic seconds.
            samples: Length of the packet at 48 kHz.

        Returns:
            None, counted in `dropped`, if the frame's time has already been sent.
        """
        timestamp = frame_pts * _TIMESTAMPS_PER_SAMPLE + self._offset
        kind = self.payload_type
        # Nearly every frame continues the last one, so that is checked first.
        if timestamp != self._end or epoch is not self._epoch:
            if epoch != self._epoch or timestamp - self._timestamp >= _HALF_RANGE:
                timestamp = self._resume_at(now)
                self._epoch = epoch
                self._offset = timestamp - frame_pts * _TIMESTAMPS_PER_SAMPLE
                kind |= 0x80
            elif timestamp < self._end:
                self.dropped += 1
                return None
            elif timestamp != self._end:
                kind |= 0x80
        sequence = self._sequence
        self._sequence = sequence + 1
        if sequence >= self._reserved:
            self._reserve(sequence)
        self._timestamp = timestamp
        self._end = timestamp + samples
        self._event = False
        self._sent = 0
        self.last_time = now
        self.packets += 1
        return _pack_header(
            0x80, kind, sequence & 0xFFFF, timestamp // self._tick & 0xFFFF_FFFF, self.ssrc
        )

    def stamp_forwarded(
        self, sequence: int, position: int, epoch: Hashable, now: float, samples: int
    ) -> bytes | None:
        """Return the header of a packet that is forwarded undecoded.

        Between forwarded packets, the gaps and the order of the source's sequence are kept: a late
        packet gets the number that was left free for it. The first one after another packet, or
        after a long gap, gets the next number. Timestamps and marker are as in `stamp`.

        Args:
            sequence: The source's, 16 bits.
            position: On `epoch`, in samples at 48 kHz.
            epoch: As in `stamp`.
            now: Monotonic seconds.
            samples: Length of the packet at 48 kHz.

        Returns:
            None, counted in `dropped`, if its number or time has already been sent.
        """
        timestamp = position + self._offset
        ahead, kind = 1, self.payload_type
        if (
            timestamp == self._end
            and epoch is self._epoch
            and self._sent == _ALL_SENT
            and sequence == (self._forwarded + 1) & 0xFFFF
        ):
            pass  # nearly every packet continues the last one
        elif epoch != self._epoch or timestamp - self._timestamp >= _HALF_RANGE:
            timestamp = self._resume_at(now)
            self._epoch = epoch
            self._offset = timestamp - position
            kind |= 0x80
            self._sent = _ALL_SENT
        else:
            if self._sent:
                ahead = ((sequence - self._forwarded + 0x8000) & 0xFFFF) - 0x8000
                if ahead <= 0 and timestamp < self._timestamp:
                    return self._stamp_late(-ahead, timestamp)
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
        if number >= self._reserved:
            self._reserve(number)
        self._forwarded = sequence
        self._timestamp = timestamp
        self._end = timestamp + samples
        self._event = False
        self.last_time = now
        self.packets += 1
        return _pack_header(
            0x80, kind, number & 0xFFFF, timestamp // self._tick & 0xFFFF_FFFF, self.ssrc
        )

    def stamp_event(
        self, payload_type: int, *, begin: bool, samples: int, now: float
    ) -> bytes | None:
        """Return the header of the next packet of a telephone event (RFC 4733 §2.5.1).

        All packets of an event carry the timestamp of its start. Audio frames whose time lies
        inside the event are dropped by `stamp`.

        Args:
            payload_type: Of telephone-event.
            begin: Whether this is the first packet of the event.
            samples: Duration of the event so far, at 48 kHz whatever its own clock.
            now: Monotonic seconds.

        Returns:
            None if audio has been sent since the event began, which ended it.
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
        if sequence >= self._reserved:
            self._reserve(sequence)
        self.packets += 1
        return _pack_header(
            0x80, kind, sequence & 0xFFFF, self._timestamp // self._tick & 0xFFFF_FFFF, self.ssrc
        )

    def count_payload(self, octets: int) -> None:
        """Count the payload of a stamped packet, for sender reports."""
        self.octets += octets

    def timestamp_at(self, now: float) -> int:
        """Return the RTP timestamp of `now`, for sender reports (RFC 3550 §6.4.1)."""
        elapsed = round((now - self.last_time) * CLOCK_RATE) if self.packets else 0
        return (self._timestamp + elapsed) // self._tick & 0xFFFF_FFFF

    def _stamp_late(self, behind: int, timestamp: int) -> bytes | None:
        """Return the header of a late forwarded packet, with the number left free for it."""
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
            number & 0xFFFF,
            timestamp // self._tick & 0xFFFF_FFFF,
            self.ssrc,
        )

    def _reserve(self, sequence: int) -> None:
        if self.used is not None:
            self._reserved = self.used.reserve_packets(sequence)

    def _resume_at(self, now: float) -> int:
        if not self.packets:
            return self._timestamp
        elapsed = round((now - self.last_time) * CLOCK_RATE / PACKET_SAMPLES) * PACKET_SAMPLES
        # A longer pause would look like a step back in time to a receiver.
        return max(self._timestamp + min(elapsed, _MAX_ADVANCE), self._end)
