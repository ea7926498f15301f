"""The codecs of RTP audio: their clocks, payload types, and how long a payload is (RFC 3551 §4.5)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.audio.codec import opus_packet
from bridge.errors import RemoteProtocolError

POSITION_RATE: Final = 48_000
"""Positions on a source's timeline count at this rate, whatever the RTP clock of its codec."""

_MAX_OCTETS: Final = 960
"""120 ms of a codec with 64 kbit/s."""
_POSITIONS_PER_OCTET: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class Codec:
    """How payloads of one codec are described and measured, without decoding them."""

    name: str
    """As `a=rtpmap` has it."""
    clock_rate: int
    """Of RTP timestamps, hertz. G.722 samples at 16 kHz and counts at 8 kHz (RFC 3551 §4.5.2)."""
    channels: int
    """In `a=rtpmap`."""
    payload_type: int | None
    """The static one (RFC 3551 §6); None where it is always negotiated."""
    comfort_noise_type: int | None
    """Payload type of comfort noise, which a sender may send in pauses (RFC 3389)."""
    duration: Callable[[bytes], int]
    """Returns the length of a payload at `POSITION_RATE`; raises RemoteProtocolError for none."""
    durations: tuple[int, ...]
    """The same by the payload's first byte; 0 where that does not tell."""
    positions_per_octet: int
    """The same by the payload's length; 0 where that does not tell."""
    fec_duration: Callable[[bytes], int]
    """Returns how much of the audio before a payload can be recovered from it."""
    is_frame: Callable[[bytes], bool]
    """Returns whether a payload is 20 ms of continuous mono audio."""

    @property
    def positions_per_tick(self) -> int:
        """Positions that one tick of the RTP clock counts for."""
        return POSITION_RATE // self.clock_rate


def _octet_duration(payload: bytes) -> int:
    """Return the duration of a payload with 8000 octets a second, 0.125 to 120 ms."""
    if not 0 < len(payload) <= _MAX_OCTETS:
        raise RemoteProtocolError("an audio packet is empty or longer than 120 ms")
    return len(payload) * _POSITIONS_PER_OCTET


def _opus_fec_duration(payload: bytes) -> int:
    return opus_packet.frame_duration(payload) if opus_packet.has_fec(payload) else 0


def _octet_codec(name: str, payload_type: int) -> Codec:
    return Codec(
        name=name,
        clock_rate=8_000,
        channels=1,
        payload_type=payload_type,
        comfort_noise_type=13,
        duration=_octet_duration,
        durations=(0,) * 256,
        positions_per_octet=_POSITIONS_PER_OCTET,
        fec_duration=lambda _: 0,
        is_frame=lambda payload: len(payload) == 160,
    )


OPUS: Final = Codec(
    name="opus",
    clock_rate=opus_packet.RTP_RATE,
    channels=2,
    payload_type=None,
    comfort_noise_type=None,
    duration=opus_packet.duration,
    durations=opus_packet.DURATIONS,
    positions_per_octet=0,
    fec_duration=_opus_fec_duration,
    is_frame=opus_packet.is_plain,
)
PCMU: Final = _octet_codec("PCMU", 0)
"""G.711 µ-law."""
PCMA: Final = _octet_codec("PCMA", 8)
"""G.711 A-law."""
G722: Final = _octet_codec("G722", 9)

CODECS: Final = (OPUS, G722, PCMA, PCMU)
"""All that are spoken, the best first."""
