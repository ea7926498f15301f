"""Snapshots of RTP sessions: what was negotiated, both streams, and what was counted."""

import math
from collections.abc import Iterable
from typing import Annotated, Final, Self, TypeAlias

import msgspec

from bridge.audio.codec.codec import CODECS, Codec
from bridge.errors import HandoverRefused
from bridge.wire.rtp.reception import Reception
from bridge.wire.rtp.stream import Numbering
from bridge.wire.rtp.telephone_event import DIGITS, DigitPacket, NewestEvent
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.snapshot_fields import copied

_MAX_NUMBER: Final = 1 << 48
_SEEN_BYTES: Final = 16
_MAX_SSRC: Final = 0xFFFF_FFFF
_CLOCK_RATES: Final = frozenset(codec.clock_rate for codec in CODECS)

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53))]
PayloadType: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=127)]


class AudioSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`NegotiatedAudio`, with codecs by their names."""

    codec: str
    payload_type: PayloadType
    direction: str
    parameters: dict[str, str]
    telephone_events: dict[PayloadType, Annotated[int, msgspec.Meta(ge=1000, le=96_000)]]
    ptime: int | None
    maxptime: int | None
    red_payload_type: int | None
    audio_level_id: int | None
    other_formats: dict[PayloadType, str]
    refused_types: frozenset[int]

    @classmethod
    def of(cls, audio: NegotiatedAudio) -> Self:
        """Return the snapshot of what was negotiated."""
        others = {kind: codec.name for kind, codec in audio.other_formats.items()}
        return copied(cls, audio, codec=audio.codec.name, other_formats=others)

    def negotiated(self) -> NegotiatedAudio:
        """Return what was negotiated.

        Raises:
            HandoverRefused: a codec is not spoken here.
        """
        others = {kind: codec_named(name) for kind, name in self.other_formats.items()}
        return copied(NegotiatedAudio, self, codec=codec_named(self.codec), other_formats=others)


class MeterSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A `LevelMeter`."""

    level_dbov: float
    silent_seconds: float
    quiet_since: float | None
    levels: int
    quiet: int
    measured: int
    clipped: int


class DtmfSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The digits that are being sent, or wait."""

    queue: str = ""
    packets: list[DigitPacket] = []
    """Of the digit under way."""
    ticks: int = 0
    last: float = 0.0
    """When the last packet was sent."""


class SenderSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The stream that is sent."""

    numbering: Numbering
    started: bool
    """Whether anything may be sent."""
    covered: float | None
    """The time up to which a continuous stream has been sent; None while silence is sent."""
    counters: dict[str, Count]
    """Of `SendCounters`; what a version does not know is dropped."""
    meter: MeterSnapshot
    dtmf: DtmfSnapshot

    def __post_init__(self) -> None:
        """Refuse numbers that no stream has."""
        numbers = self.numbering
        counted = numbers[3:6] + numbers[7:10]
        _check_stream(numbers.ssrc, numbers.clock_rate, (numbers.last_time, self.dtmf.last, 0.0))
        if min(counted) < 0 or max(counted) > _MAX_NUMBER or not {*self.dtmf.queue} <= {*DIGITS}:
            raise ValueError("the numbers of a stream are impossible")


class ReceiverSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The stream that is received."""

    ssrc: int
    previous_ssrc: int
    payload_type: int
    last_received: float | None
    reception: Reception | None
    event: NewestEvent
    counters: dict[str, Count]
    """Of `ReceiveCounters`; what a version does not know is dropped."""
    late: int
    reordered: int
    unknown: int
    refused: int
    malformed: int
    """Also by its decoder."""
    meter: MeterSnapshot

    def __post_init__(self) -> None:
        """Refuse numbers that no stream has."""
        if (found := self.reception) is not None:
            times = found.jitter, found.peak, found.peak_before, found.last_arrival or 0.0
            _check_stream(found.ssrc, found.clock_rate, times)
            if not 0 <= found.highest <= _MAX_NUMBER or len(found.seen) > _SEEN_BYTES:
                raise ValueError("the numbers of a source are impossible")


class ReportsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """RTCP reports of both sides."""

    cname: str
    """Ours."""
    wall_offset: float | None
    received: int
    about_us: int
    highest: int | None
    remote_lost: int
    remote_loss_ratio: float
    remote_jitter_seconds: float
    round_trip_seconds: float | None


class SessionSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An RTP session."""

    audio: AudioSnapshot
    sender: SenderSnapshot
    receiver: ReceiverSnapshot
    reports: ReportsSnapshot
    malformed: int
    echo_seconds: float | None


def _check_stream(ssrc: int, clock_rate: int, times: Iterable[float]) -> None:
    """Check what both directions have.

    Raises:
        ValueError: it is impossible.
    """
    # Nothing was sent before the beginning of time: -inf is a time of its own.
    possible = all(0.0 <= time < math.inf or time == -math.inf for time in times)
    if not 0 <= ssrc <= _MAX_SSRC or clock_rate not in _CLOCK_RATES or not possible:
        raise ValueError("the numbers of a stream are impossible")


def codec_named(name: str) -> Codec:
    """Return a codec.

    Raises:
        HandoverRefused: it is not spoken here.
    """
    for codec in CODECS:
        if codec.name == name:
            return codec
    raise HandoverRefused("a codec of the call is not spoken here")
