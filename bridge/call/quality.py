"""A leg's quality over a period, from its reports at the beginning and at the end of it.

The only caller of the E-model: the timeline, the histograms and `/call/{id}/quality` all show what
`rate` returns.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from bridge.audio.quality import CODEC_DELAY_SECONDS, estimate_rating, opinion_score
from bridge.call.model import LegFigures, LegKind, LegStatistics, LevelCounts
from bridge.call.timeline import Sample, Timeline

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


@dataclass(slots=True)
class LegQuality:
    """One leg's timeline and its last report."""

    last: LegFigures
    last_at: float
    """Monotonic seconds."""
    call_began: float
    """Monotonic seconds."""
    timeline: Timeline = field(default_factory=Timeline)


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
        return Rating(), Rating()
    delay = CODEC_DELAY_SECONDS + (after.round_trip_seconds or 0.0) / 2
    old, new = before.received, after.received
    packets, frames = new.packets - old.packets, new.frames - old.frames
    lost = max(0, new.lost - old.lost)
    loss = _share(lost, packets + lost) if packets > 0 or frames > 0 else None
    received = Rating()
    if loss is not None:
        jitter = new.jitter_seconds
        rating = estimate_rating(
            loss=loss,
            delay=delay + playout_delay,
            jitter=jitter,
            bitrate=_bitrate(new.bytes - old.bytes, seconds),
            fec=new.fec_frames > old.fec_frames,
        )
        received = Rating(loss, jitter, opinion_score(rating))
    if after.round_trip_seconds is None:
        return received, Rating()
    sent = after.sent
    loss, jitter = sent.remote_loss_ratio, sent.remote_jitter_seconds
    if sent.packets <= before.sent.packets:
        return received, Rating(loss, jitter)
    bitrate = _bitrate(sent.bytes - before.sent.bytes, seconds)
    rating = estimate_rating(loss=loss, delay=delay, jitter=jitter, bitrate=bitrate, fec=sent.fec)
    return received, Rating(loss, jitter, opinion_score(rating))


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
    packets_sent = after.sent.packets > before.sent.packets
    return Sample(
        loss=received.loss,
        jitter=received.jitter,
        round_trip=after.round_trip_seconds,
        playout_delay=playout_delay,
        concealed=_share(new.concealed_frames - old.concealed_frames, frames),
        recovered=_share(new.fec_frames - old.fec_frames, frames),
        level=new.level_dbov if frames > 0 or new.packets > old.packets else None,
        clipped=_clipped(old.levels, new.levels),
        silent=_silent(old.levels, new.levels),
        mos=received.mos,
        sent_loss=sent.loss,
        sent_jitter=sent.jitter,
        sent_fec=float(after.sent.fec) if kind.traits.carries_rtp and packets_sent else None,
        sent_level=after.sent.level_dbov if packets_sent else None,
        sent_clipped=_clipped(before.sent.levels, after.sent.levels),
        sent_silent=_silent(before.sent.levels, after.sent.levels),
        sent_mos=sent.mos,
    )


def _share(part: int, whole: int) -> float | None:
    return min(1.0, max(0, part) / whole) if whole > 0 else None


def _clipped(old: LevelCounts, new: LevelCounts) -> float | None:
    return _share(
        new.clipped_frames - old.clipped_frames, new.measured_frames - old.measured_frames
    )


def _silent(old: LevelCounts, new: LevelCounts) -> float | None:
    return _share(new.quiet - old.quiet, new.noted - old.noted)


def _bitrate(octets: int, seconds: float) -> int:
    return max(_MIN_BITRATE, round(8 * octets / seconds)) if seconds > 0 else _MIN_BITRATE
