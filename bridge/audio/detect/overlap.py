"""Finds and classifies overlaps, in which a caller speaks while a bot does: interruption, backchannel ("mm-hm") or noise.

`overlap_model` classifies them by `overlap_features`: level and pitch relative to the caller's usual ones, syllables, and the
position in the bot's speech. docs/interruptions.md has error rates.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from bridge.audio.detect.level import SILENT
from bridge.audio.detect.overlap_features import (
    POSITION_FRAMES,
    WINDOW_FRAMES,
    Onset,
    Vector,
    features,
)
from bridge.audio.detect.overlap_model import NETWORK, THRESHOLD
from bridge.audio.detect.usual_voice import UsualVoice
from bridge.audio.detect.vad import Vad
from bridge.audio.detect.voice_frame import NO_VOICE, VOICED, VoiceFrame, measure
from bridge.audio.frame import SILENCE

ONSET_FRAMES: Final = 2
"""Loud frames in a row with which an overlap begins; a click has fewer."""
APART_FRAMES: Final = 8
"""Quiet frames of the caller before an overlap; speech that began before the bot's is not one."""
JUMP_DB: Final = 6.0
"""How much louder than all these frames the caller must be if they are not quiet, because others speak in the background."""
DECISION_FRAMES: Final = (14, 16, 18, 20)
"""Ages at which an overlap is classified, until it is an interruption: a clear one earlier, others at the last, after 400 ms."""
END_FRAMES: Final = 15
"""Quiet frames that end an overlap; longer than the gaps between words."""
TALKING_FRAMES: Final = 20
"""Frames after its last voiced one for which the bot still counts as talking, as between sentences."""
SOFTER_DB: Final = 18.0
"""How much softer than the caller's usual level an overlap may begin; softer sound is background noise."""
LOUDER_DB: Final = 6.0
"""A frame that is so much louder than a backchannel or noise begins another overlap."""
NEAR_DB: Final = 12.0
"""How much softer than the loudest frame other frames of the same voice may be."""
RESTART_FRAMES: Final = 4
"""How many frames ago a voice began that a voice detector has just confirmed."""
LASTING_FRAMES: Final = 40
"""Age at which an overlap that was classified otherwise becomes an interruption,"""
LASTING_VOICED_FRAMES: Final = 20
"""if this many of its frames are voiced; those of a drill are not."""


class OverlapKind(StrEnum):
    """The kind of an overlap."""

    BACKCHANNEL = "backchannel"
    INTERRUPTION = "interruption"
    NOISE = "noise"


class OverlapChange(StrEnum):
    """Changes that a frame of the caller may cause."""

    BEGUN = "begun"
    DECIDED = "decided"
    """Its kind is known, or has changed."""
    ENDED = "ended"


def classify(features: Vector) -> OverlapKind:
    """Return the most likely kind of an overlap by its features."""
    backchannel, interruption, noise = NETWORK.likelihoods(features)
    if interruption >= THRESHOLD:
        return OverlapKind.INTERRUPTION
    return OverlapKind.BACKCHANNEL if backchannel >= noise else OverlapKind.NOISE


class OverlapDetector:
    """Finds and classifies the overlaps of one caller with one bot, one after the other."""

    __slots__ = (
        "_apart", "_before", "_bot", "_bot_quiet", "_classify", "_frames", "_last", "_lead", "_levels", "_noise", "_quiet", "_recent", "_usual", "_voices",
        "began", "both", "change", "ended", "kind", "overlapping", "stopped",
    )  # fmt: skip

    def __init__(self, classify: Callable[[Vector], OverlapKind] = classify) -> None:
        """`classify` returns the kind of an overlap by its features."""
        self._classify = classify
        self.overlapping = False
        """Whether there is an overlap now."""
        self.kind: OverlapKind | None = None
        """The kind of the current or last overlap; None until it is classified."""
        self.change: OverlapChange | None = None
        """The change by the last frame."""
        self.began = self.ended = 0
        """Number of its first frame, and of the one after its last loud one, counted from the first `push`."""
        self.both = 0
        """Its frames in which the bot was voiced too."""
        self.stopped = False
        """Whether the bot stopped while the caller went on."""
        self._usual = UsualVoice()
        self._frames = 0
        """Number of frames so far."""
        self._last = SILENCE
        self._recent: deque[tuple[bytes, float]] = deque(maxlen=RESTART_FRAMES)
        """The last frames, each together with its predecessor, and their levels."""
        before = APART_FRAMES + ONSET_FRAMES
        self._before: deque[float] = deque([SILENT] * before, before)
        """The levels of the last frames."""
        self._lead: list[float] = []
        """The levels before the overlap."""
        self._levels: list[float] = []
        self._voices: list[VoiceFrame] = []
        """Of the latest loud frames, or of the current overlap."""
        self._noise = 0.0
        self._bot: deque[bool] = deque([False] * POSITION_FRAMES, POSITION_FRAMES + WINDOW_FRAMES)
        """Whether the bot was voiced in the last frames."""
        self._bot_quiet = self._apart = self._quiet = TALKING_FRAMES

    @property
    def age(self) -> int:
        """Frames since the beginning of the overlap."""
        return self._frames - self.began

    @property
    def lasting(self) -> bool:
        """Whether the overlap has become an interruption in this frame because of its length."""
        lasts = self.overlapping and self.age == LASTING_FRAMES
        return lasts and self.kind is OverlapKind.INTERRUPTION

    def push(self, pcm: bytes, vad: Vad | None, *, loud: bool, bot: bool) -> OverlapChange | None:
        """Process the next 20 ms of the caller.

        `vad` has measured the frame, None for digital silence; `loud` is whether the frame is loud enough for a voice, `bot` whether
        the bot is voiced in it.
        """
        window, self._last = self._last + pcm, pcm
        dbov = SILENT if vad is None else vad.level_dbov
        usual = self._usual.usual
        if usual is not None and dbov < usual.dbov - SOFTER_DB:
            loud = False
        self._frames += 1
        self._recent.append((window, dbov))
        self._before.append(dbov)
        self._bot.append(bot)
        self._bot_quiet = 0 if bot else self._bot_quiet + 1
        if self.overlapping:
            self.change = self._follow(window, dbov, loud=loud, bot=bot)
        else:
            self.change = self._await(window, dbov, loud=loud)
            if self.change is OverlapChange.BEGUN and vad is not None:
                self._noise = vad.noise_dbov
        return self.change

    def _await(self, window: bytes, dbov: float, *, loud: bool) -> OverlapChange | None:
        """Look for the beginning of an overlap."""
        if not loud:
            self._apart += 1
            self._levels.clear()
            self._voices.clear()
            return None
        if self._bot_quiet >= TALKING_FRAMES or not self._is_apart(dbov):
            self._apart = 0
            self._levels.clear()
            self._voices.clear()
            self._usual.note(window, dbov)
            return None
        self._measure(window, dbov)
        return self._begin() if len(self._levels) == ONSET_FRAMES else None

    def _is_apart(self, dbov: float) -> bool:
        """Return whether a frame follows silence of the caller, or far softer sound."""
        if self._apart >= APART_FRAMES:
            return True
        return dbov > max(list(self._before)[:APART_FRAMES]) + JUMP_DB

    def restart(self, vad: Vad) -> None:
        """Begin an overlap with the latest frames, because a voice detector has found a voice that was missed or taken for noise."""
        self._levels.clear()
        self._voices.clear()
        for window, dbov in self._recent:
            self._measure(window, dbov)
        self._noise = vad.noise_dbov
        self.change = self._begin()

    def _begin(self) -> OverlapChange:
        frames = len(self._levels)
        self.overlapping, self.kind, self.stopped = True, None, False
        self.began, self.ended = self._frames - frames, self._frames
        self._lead = list(self._before)[:-frames]
        self.both = sum(list(self._bot)[-frames:])
        self._quiet = self._apart = 0
        return OverlapChange.BEGUN

    def _follow(self, window: bytes, dbov: float, *, loud: bool, bot: bool) -> OverlapChange | None:
        """Classify the current overlap, and detect its end."""
        none = self.kind is OverlapKind.NOISE or self.kind is OverlapKind.BACKCHANNEL
        if loud and none and dbov > max(self._levels) + LOUDER_DB:
            return self._end(APART_FRAMES)
        self._quiet = 0 if loud else self._quiet + 1
        self._apart = self._quiet
        self.ended = self._frames if loud else self.ended
        self.both += bot and loud
        if self.kind is not OverlapKind.INTERRUPTION and self.age <= LASTING_FRAMES:
            self._measure(window, dbov)
        if self.kind is None:  # An overlap ends only once it is classified.
            decided = self.age in DECISION_FRAMES and self._decide()
            return OverlapChange.DECIDED if decided else None
        silent = self._bot_quiet >= TALKING_FRAMES
        self.stopped = silent and self._quiet < TALKING_FRAMES
        if self._quiet >= END_FRAMES or self.stopped:
            return self._end(self._quiet)
        lasts = self.age == LASTING_FRAMES and self.kind is not OverlapKind.INTERRUPTION
        voiced = self._voiced() if lasts else 0
        if voiced < LASTING_VOICED_FRAMES or self._quiet:
            return None
        self.kind = OverlapKind.INTERRUPTION
        return OverlapChange.DECIDED

    def _voiced(self) -> int:
        """Count the frames with the voice that began the overlap, without music in the background."""
        least = max(self._levels) - NEAR_DB
        frames = zip(self._levels, self._voices, strict=True)
        return sum(dbov > least and voice.voicing > VOICED for dbov, voice in frames)

    def _end(self, apart: int) -> OverlapChange:
        self.overlapping, self._apart = False, apart
        self._levels.clear()
        self._voices.clear()
        return OverlapChange.ENDED

    def _measure(self, window: bytes, dbov: float) -> None:
        self._levels.append(dbov)
        self._voices.append(measure(window))

    def _decide(self) -> bool:
        """Classify the latest frames; return whether the kind is known now."""
        levels = [*self._lead, *self._levels][-WINDOW_FRAMES:]
        voices = [*[NO_VOICE] * len(self._lead), *self._voices][-WINDOW_FRAMES:]
        bot, usual = tuple(self._bot), self._usual.usual
        onset = Onset(levels, voices, self._noise, bot, usual, len(self._levels))
        kind = self._classify(features(onset))
        if kind is OverlapKind.INTERRUPTION or self.age == DECISION_FRAMES[-1]:
            self.kind = kind
        return self.kind is not None
