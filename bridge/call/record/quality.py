"""A leg's quality over a period, from its reports at the beginning and at the end of it.

The only caller of the E-model: the timeline, the histograms and `/call/{id}/quality` all show what
`rate` returns.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.audio.detect.quality import CODEC_DELAY_SECONDS, estimate_rating, opinion_score
from bridge.call.model import (
    LegFigures,
    LegKind,
    LegStatistics,
    LevelCounts,
    ReceivedAudio,
    SentAudio,
)
from bridge.call.record.timeline import Sample, Timeline

_MIN_BITRATE: Final = 24_000
"""Minimum bit rate for the E-model: pauses take fewer bits and sound no worse."""


class Rating(NamedTuple):
    """Network quality of one direction; None where nothing was measured."""

    loss: float | None = None
    """Share of the packets that were lost, 0 to 1."""
    jitter: float | None = None
    """Interarrival jitter in seconds (RFC 3550 §6.4.1)."""
    mos: float | None = None
    """Mean opinion score of the listener, 1 to 4.41 (the E-model's maximum)."""


_UNRATED: Final = Rating()


@dataclass(slots=True)
class LegQuality:
    """One leg's timeline and its last report."""

    last: LegFigures
    last_at: float
    """Monotonic seconds."""
    call_began: float
    """Monotonic seconds."""
    timeline: Timeline = field(default_factory=Timeline)
    idle: Sample | None = None
    """Its sample while nothing comes from it or goes to it."""


def rate(
    kind: LegKind,
    before: LegStatistics,
    after: LegStatistics,
    *,
    seconds: float = 0.0,
    playout_delay: float = 0.0,
) -> tuple[Rating, Rating]:
    """Rate both directions of a leg: as received here, and as its peer reports receiving it.

    `before` and `after` are the reports at the ends of the period, of `seconds` (0 if unknown); the leg is
    heard through a buffer of `playout_delay` seconds. A leg that carries no RTP has no ratings.
    """
    if not kind.traits.carries_rtp:
        return _UNRATED, _UNRATED
    delay = CODEC_DELAY_SECONDS + (after.round_trip_seconds or 0.0) / 2
    received = _rate_received(before.received, after.received, delay + playout_delay, seconds)
    if after.round_trip_seconds is None:
        return received, _UNRATED
    return received, _rate_sent(before.sent, after.sent, delay, seconds)


def _rate_received(old: ReceivedAudio, new: ReceivedAudio, delay: float, seconds: float) -> Rating:
    packets, lost = new.packets - old.packets, new.lost - old.lost
    loss = _share(lost, packets + lost) if lost > 0 else _share(0, packets)
    if loss is None or (packets <= 0 and new.frames <= old.frames):
        return _UNRATED
    jitter = new.jitter_seconds
    rating = estimate_rating(
        loss=loss,
        delay=delay,
        jitter=jitter,
        bitrate=_bitrate(new.bytes - old.bytes, seconds),
        fec=new.fec_frames > old.fec_frames,
    )
    return Rating(loss, jitter, opinion_score(rating))


def _rate_sent(old: SentAudio, new: SentAudio, delay: float, seconds: float) -> Rating:
    loss, jitter = new.remote_loss_ratio, new.remote_jitter_seconds
    if new.packets <= old.packets:
        return Rating(loss, jitter)
    bitrate = _bitrate(new.bytes - old.bytes, seconds)
    rating = estimate_rating(loss=loss, delay=delay, jitter=jitter, bitrate=bitrate, fec=new.fec)
    return Rating(loss, jitter, opinion_score(rating))


def take_sample(
    kind: LegKind,
    before: LegStatistics,
    after: LegStatistics,
    *,
    seconds: float,
    playout_delay: float | None,
) -> Sample:
    """Return a leg's row of the timeline; the arguments are those of `rate`.

    `playout_delay` is None for a leg that is heard without a buffer.
    """
    received, sent = rate(kind, before, after, seconds=seconds, playout_delay=playout_delay or 0.0)
    old, new = before.received, after.received
    frames = new.frames - old.frames
    clipped, silent = _level_shares(old.levels, new.levels)
    sent_clipped, sent_silent = _level_shares(before.sent.levels, after.sent.levels)
    packets_sent = after.sent.packets > before.sent.packets
    return Sample(
        loss=received.loss,
        jitter=received.jitter,
        round_trip=after.round_trip_seconds,
        playout_delay=playout_delay,
        concealed=_share(new.concealed_frames - old.concealed_frames, frames),
        recovered=_share(new.fec_frames - old.fec_frames, frames),
        level=new.level_dbov if frames > 0 or new.packets > old.packets else None,
        clipped=clipped,
        silent=silent,
        mos=received.mos,
        sent_loss=sent.loss,
        sent_jitter=sent.jitter,
        sent_fec=float(after.sent.fec) if kind.traits.carries_rtp and packets_sent else None,
        sent_level=after.sent.level_dbov if packets_sent else None,
        sent_clipped=sent_clipped,
        sent_silent=sent_silent,
        sent_mos=sent.mos,
    )


def _level_shares(old: LevelCounts, new: LevelCounts) -> tuple[float | None, float | None]:
    """Return the shares of clipped frames and of quiet levels."""
    measured = new.measured_frames - old.measured_frames
    clipped = _share(new.clipped_frames - old.clipped_frames, measured)
    return clipped, _share(new.quiet - old.quiet, new.noted - old.noted)


def _share(part: int, whole: int) -> float | None:
    if whole <= 0:
        return None
    if part <= 0:
        return 0.0
    return min(1.0, part / whole)


def _bitrate(octets: int, seconds: float) -> int:
    if seconds <= 0 or 8 * octets <= _MIN_BITRATE * seconds:
        return _MIN_BITRATE
    return round(8 * octets / seconds)
