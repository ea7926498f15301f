"""One leg's quality in one second, from its figures at the beginning and at the end of it."""

from typing import Final

from bridge.audio.quality import CODEC_DELAY_SECONDS, estimate
from bridge.call.model import LegStatistics, ReceivedAudio, SentAudio
from bridge.call.timeline import Sample

_MIN_BITRATE: Final = 24_000
"""Bits a second that the estimate takes for granted: pauses take fewer, and sound no worse."""


def take_sample(
    before: LegStatistics,
    after: LegStatistics,
    *,
    seconds: float,
    playout_delay: float | None,
    rated: bool,
) -> Sample:
    """Compare two reports of a leg.

    Args:
        before: The earlier report.
        after: The later one.
        seconds: Between the two.
        playout_delay: Of the buffer through which the leg is heard; None without one.
        rated: Whether its sound goes through a network, so that the E-model can judge it.
    """
    old, new = before.received, after.received
    trip = after.round_trip_seconds
    delay = CODEC_DELAY_SECONDS + (trip or 0.0) / 2
    came = new.packets - old.packets
    lost = max(0, new.lost - old.lost)
    frames = new.frames - old.frames
    heard = came > 0 or frames > 0
    recovered = _share(new.fec_frames - old.fec_frames, frames)
    loss = _share(lost, came + lost) if rated and heard else None
    reported = after.sent if rated and trip is not None else None
    sent = after.sent.packets - before.sent.packets
    return Sample(
        loss=loss,
        jitter=new.jitter_seconds if rated and heard else None,
        round_trip=trip,
        playout_delay=playout_delay,
        concealed=_share(new.concealed_frames - old.concealed_frames, frames),
        recovered=recovered,
        level=new.level_dbov if heard else None,
        clipped=_clipped(old, new),
        silent=_silent(old, new),
        mos=None
        if loss is None
        else estimate(
            loss=loss,
            delay=delay + (playout_delay or 0.0),
            jitter=new.jitter_seconds,
            bitrate=_bitrate(new.bytes - old.bytes, seconds),
            fec=bool(recovered),
        ).mos,
        sent_loss=reported.remote_loss_ratio if reported else None,
        sent_jitter=reported.remote_jitter_seconds if reported else None,
        sent_fec=float(after.sent.fec) if rated and sent > 0 else None,
        sent_level=after.sent.level_dbov if sent > 0 else None,
        sent_clipped=_clipped(before.sent, after.sent),
        sent_silent=_silent(before.sent, after.sent),
        sent_mos=estimate(
            loss=reported.remote_loss_ratio,
            delay=delay,
            jitter=reported.remote_jitter_seconds,
            bitrate=_bitrate(after.sent.bytes - before.sent.bytes, seconds),
            fec=reported.fec,
        ).mos
        if reported and sent > 0
        else None,
    )


def _share(part: int, whole: int) -> float | None:
    return min(1.0, max(0, part) / whole) if whole > 0 else None


def _clipped(old: ReceivedAudio | SentAudio, new: ReceivedAudio | SentAudio) -> float | None:
    return _share(
        new.clipped_frames - old.clipped_frames, new.measured_frames - old.measured_frames
    )


def _silent(old: ReceivedAudio | SentAudio, new: ReceivedAudio | SentAudio) -> float | None:
    return _share(new.quiet_levels - old.quiet_levels, new.noted_levels - old.noted_levels)


def _bitrate(octets: int, seconds: float) -> int:
    return max(_MIN_BITRATE, round(8 * octets / seconds)) if seconds > 0 else _MIN_BITRATE
