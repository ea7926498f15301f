"""The overlaps of a call with a bot: when its caller spoke while the bot did, and their kinds. Pure: times are arguments."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge.audio.detect.overlap import OverlapChange, OverlapDetector, OverlapKind
from bridge.audio.detect.speech import SpeechMeter
from bridge.audio.frame import FRAME_SECONDS, SILENCE

MAX_OVERLAPS: Final = 1000
"""Maximum per call; later ones are not published."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """An overlap; times are those of the caller's frames, in seconds."""

    kind: OverlapKind
    began: float
    seconds: float
    """From the caller's first voiced frame in the overlap to the last."""
    both: float
    """Seconds for which both were voiced."""
    stopped: bool
    """Whether the bot stopped while the caller went on."""
    over: bool
    """Whether it has ended."""


class OverlapTracker:
    """Follows one bot and its caller, as they are metered."""

    def __init__(self, detector: OverlapDetector | None, report: Callable[[Overlap], None]) -> None:
        """`detector` is an agent's own, which processes each frame after `hear`; None for other bots.

        `report` is called twice for each overlap: when its kind is known, and when it is over.
        """
        self._own = detector is None
        self._detector = OverlapDetector() if detector is None else detector
        self._report = report
        self._reported: Overlap | None = None
        """The current overlap as it was reported."""
        self._bot_at = -1.0
        """When the bot's last voiced frame began, as of the previous frame."""

    def hear(self, pcm: bytes, at: float, caller: SpeechMeter, bot: SpeechMeter) -> None:
        """Process a frame of the caller, whose first sample arrived at `at`, after both meters have."""
        detector = self._detector
        if not self._own:
            self._follow(at - FRAME_SECONDS)
            return
        voiced, self._bot_at = bot.voiced_at != self._bot_at, bot.voiced_at
        vad = None if pcm is SILENCE else caller.vad
        detector.push(pcm, vad, loud=caller.voiced_at == at, bot=voiced)
        self._follow(at)

    def finish(self, at: float) -> None:
        """Report the overlap that the end of the call or of the bot cuts off."""
        if self._reported is not None:
            self._reported = None
            self._report(self._overlap(at, over=True))

    def _follow(self, at: float) -> None:
        """Report the change by the frame that arrived at `at`."""
        change = self._detector.change
        if change is OverlapChange.BEGUN and self._reported is not None:
            self._report(replace(self._reported, over=True))
            self._reported = None
        elif change is OverlapChange.DECIDED and self._reported is None:
            self._reported = self._overlap(at, over=False)
            self._report(self._reported)
        elif change is OverlapChange.ENDED:
            self.finish(at)

    def _overlap(self, at: float, *, over: bool) -> Overlap:
        detector = self._detector
        began = at - (detector.age - 1) * FRAME_SECONDS
        frames = detector.ended - detector.began
        kind = detector.kind or OverlapKind.NOISE
        return Overlap(
            kind,
            began,
            frames * FRAME_SECONDS,
            detector.both * FRAME_SECONDS,
            detector.stopped,
            over,
        )
