"""DTMF as RTP telephone events (RFC 4733)."""

from struct import Struct
from typing import Final, NamedTuple

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.wire.rtp.packet import CLOCK_RATE

DIGITS: Final = "0123456789*#ABCD"
"""The digits, each at the index of its event code (RFC 4733 §3.2)."""

DIGIT_SECONDS: Final = 0.1
VOLUME: Final = 10
"""Attenuation of our digits in -dBm0."""
GAP_SECONDS: Final = 0.06
"""Pause between two digits."""

PACKET_SECONDS: Final = 0.02
END_PACKETS: Final = 3
"""Transmissions of an event's last packet (RFC 4733 §2.5.1.4)."""

_PAYLOAD: Final = Struct("!BBH")
_MAX_DURATION: Final = 0xFFFF
_HALF_RANGE: Final = 1 << 31
_TIMESTAMP_MASK: Final = 0xFFFF_FFFF


class Event(NamedTuple):
    """One payload of an event."""

    digit: str
    """One of `DIGITS`, or "" for other events (fax and modem tones, flash)."""
    end: bool
    volume: int
    """Attenuation in -dBm0, 0 (loud) to 63."""
    duration: int
    """Since the event's timestamp, in units of the payload type's clock."""


class DigitPacket(NamedTuple):
    """One packet to send for a digit."""

    payload: bytes
    begin: bool
    """Whether it is the first of its event."""
    samples: int
    """Duration of the event so far, at 48 kHz (for `OutgoingStream.stamp_event`)."""


def parse(payload: bytes) -> Event:
    """Parse a payload.

    Raises:
        RemoteProtocolError: It is too short.
    """
    if len(payload) < _PAYLOAD.size:
        raise RemoteProtocolError("the telephone-event payload is too short")
    code, flags, duration = _PAYLOAD.unpack_from(payload)
    digit = DIGITS[code] if code < len(DIGITS) else ""
    return Event(digit, bool(flags & 0x80), flags & 0x3F, duration)


def serialize(event: Event) -> bytes:
    """Serialize a payload.

    Raises:
        LocalProtocolError: The digit, volume or duration is invalid.
    """
    if len(event.digit) != 1 or event.digit not in DIGITS:
        raise LocalProtocolError("not a DTMF digit")
    if not 0 <= event.volume <= 63 or not 0 <= event.duration <= _MAX_DURATION:
        raise LocalProtocolError("the volume or the duration of the event does not fit its field")
    flags = event.volume | (0x80 if event.end else 0)
    return _PAYLOAD.pack(DIGITS.index(event.digit), flags, event.duration)


def digit_packets(digit: str, *, clock_rate: int) -> tuple[DigitPacket, ...]:
    """Return the packets of one digit, to be sent 20 ms apart.

    Raises:
        LocalProtocolError: The digit is invalid.
    """
    steps = round(DIGIT_SECONDS / PACKET_SECONDS)
    packets = []
    for step in range(1, steps + END_PACKETS):
        played = min(step, steps) * PACKET_SECONDS
        event = Event(digit, step >= steps, VOLUME, round(played * clock_rate))
        packets.append(DigitPacket(serialize(event), step == 1, round(played * CLOCK_RATE)))
    return tuple(packets)


class NewestEvent(NamedTuple):
    """The newest event of a source."""

    timestamp: int | None
    """None before the first."""
    digit: str
    duration: int
    ended: bool


class DigitReceiver:
    """Detects the digits of one RTP source, each once.

    A digit is returned at the first packet received of its event, even if earlier ones were lost;
    an event is identified by its timestamp (RFC 4733 §2.5.1.2).
    """

    __slots__ = ("_digit", "_duration", "_ended", "_timestamp")

    def __init__(self) -> None:
        self._timestamp: int | None = None  # of the newest event
        self._digit = ""
        self._duration = 0
        self._ended = False

    def newest(self) -> NewestEvent:
        """Return the newest event."""
        return NewestEvent(self._timestamp, self._digit, self._duration, self._ended)

    def restore(self, newest: NewestEvent) -> None:
        """Go on after an event that another receiver has got."""
        self._timestamp, self._digit, self._duration, self._ended = newest

    def receive(self, payload: bytes, timestamp: int) -> str | None:
        """Process a packet; return the digit if it is the first packet of an event.

        None for repetitions, late packets of an older event, further segments of a long one (RFC
        4733 §2.5.1.3) and events that are not digits.

        Raises:
            RemoteProtocolError: The payload is too short.
        """
        event = parse(payload)
        digit = event.digit or None
        if self._timestamp is not None:
            ahead = (timestamp - self._timestamp) & _TIMESTAMP_MASK
            if ahead == 0:
                self._duration = max(self._duration, event.duration)
                self._ended = self._ended or event.end
                return None
            if ahead >= _HALF_RANGE:
                return None
            if ahead == self._duration and not self._ended and event.digit == self._digit:
                digit = None
        self._timestamp = timestamp
        self._digit = event.digit
        self._duration = event.duration
        self._ended = event.end
        return digit
