"""Who speaks and how good a connection is, in LiveKit's words; from figures that the legs of a call have anyway."""

import math
from collections.abc import Iterable
from typing import Final

from bridge.audio.detect.level import SILENT
from bridge.audio.detect.quality import opinion_score
from bridge.call.record.quality import LegQuality
from bridge.wire.livekit.models import ConnectionQuality
from bridge.wire.livekit.response import ConnectionQualityInfo, SpeakerInfo

LOUD_DBOV: Final = -45.0
"""Above it a participant speaks."""
PAUSE_SECONDS: Final = 1.2
"""Of silence, after which it no longer does: a leg's level is that of one frame in half a second."""
STEPS: Final = 8
"""Levels are told in eighths of full scale, as LiveKit's server does, so that few changes are told."""
RATED_SECONDS: Final = 5
"""For how long a quality stays as it was told, and of how much it is the mean."""
QUALITIES: Final = (
    (opinion_score(80.0), ConnectionQuality.EXCELLENT),
    (opinion_score(40.0), ConnectionQuality.GOOD),
    (opinion_score(20.0), ConnectionQuality.POOR),
)
"""From which MOS on; LiveKit's thresholds of the E-model's rating."""


class Meter:
    """One participant as its client was told last."""

    def __init__(self, sid: str, *, may_be_lost: bool) -> None:
        """`may_be_lost` is False for the client itself: one whose connection is lost joins anew."""
        self.sid = sid
        self._may_be_lost = may_be_lost
        self._loud_at = -math.inf
        self._speaker = SpeakerInfo(sid=sid)
        self._quality: ConnectionQuality | None = None
        self._rated_at = -math.inf

    def listen(self, dbov: float, now: float) -> SpeakerInfo | None:
        """Take a level; return what has changed."""
        if dbov > LOUD_DBOV:
            self._loud_at = now
        if now - self._loud_at > PAUSE_SECONDS:
            found = SpeakerInfo(sid=self.sid)
        elif dbov > LOUD_DBOV:
            share = math.ceil(STEPS * min(1.0, 10.0 ** (dbov / 20.0))) / STEPS
            found = SpeakerInfo(sid=self.sid, level=share, active=True)
        else:
            found = self._speaker
        before, self._speaker = self._speaker, found
        return None if found == before else found

    def rate(self, mos: float | None, now: float) -> ConnectionQualityInfo | None:
        """Take a mean opinion score, None where nothing was measured; return the quality if it has changed."""
        if mos is None or now - self._rated_at < RATED_SECONDS:
            return None
        quality = quality_of(mos)
        if quality is ConnectionQuality.LOST and not self._may_be_lost:
            quality = ConnectionQuality.POOR
        self._rated_at = now
        before, self._quality = self._quality, quality
        if quality is before:
            return None
        return ConnectionQualityInfo(participant_sid=self.sid, quality=quality, score=mos)


def quality_of(mos: float) -> ConnectionQuality:
    """Return the quality of a connection with this mean opinion score."""
    found = (quality for least, quality in QUALITIES if mos > least)
    return next(found, ConnectionQuality.LOST)


def mean_score(legs: Iterable[LegQuality]) -> float | None:
    """Return the MOS of the last seconds, of the worst direction of the worst leg; None where none was measured."""
    means = [
        sum(measured) / len(measured)
        for leg in legs
        for name in ("mos", "sent_mos")
        if (
            measured := [one for one in leg.timeline.recent(name, RATED_SECONDS) if one is not None]
        )
    ]
    return min(means, default=None)


def loudest(levels: Iterable[float]) -> float:
    """Return the highest of some levels in dBov; silence without any."""
    return max(levels, default=SILENT)
