"""What a caller means who speaks while a bot does: an interruption, a backchannel ("mm-hm"), or nothing, as a noise.

Decided from the level against the caller's usual one, syllables, pitch, spectrum, and where in the bot's speech it falls
(`overlap_features`), which `overlap_model` weighs. docs/interruptions.md has the figures.
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
"""Quiet frames of the caller before it: what goes on from before the bot spoke is none."""
JUMP_DB: Final = 6.0
"""By so much the caller is louder than all these frames where they are not quiet, as where others speak in the background."""
DECISION_FRAMES: Final = (14, 16, 18, 20)
"""After these an overlap is classified until it is an interruption: one that is clear sooner, others by the last one, after 400 ms."""
END_FRAMES: Final = 15
"""Quiet frames that end it: the words of a sentence are less apart."""
TALKING_FRAMES: Final = 20
"""For so long after its last voiced frame the bot still talks: a pause between sentences."""
SOFTER_DB: Final = 18.0
"""How much softer than the caller usually is an overlap may begin: noises are behind the voice."""
LOUDER_DB: Final = 6.0
"""What is so much louder than an overlap that was none of a voice is another one."""
NEAR_DB: Final = 12.0
"""How much softer than its loudest frame another one of the same voice may be that counts."""
RESTART_FRAMES: Final = 4
"""For so long a voice has been heard when a voice detector is sure of it."""
LASTING_FRAMES: Final = 40
"""What did not seem to be an interruption is one if it lasts so long,"""
LASTING_VOICED_FRAMES: Final = 20
"""and so much of it is a voice: a drill lasts too."""


class OverlapKind(StrEnum):
    """What a caller's overlap is."""

    BACKCHANNEL = "backchannel"
    INTERRUPTION = "interruption"
    NOISE = "noise"


class OverlapChange(StrEnum):
    """What a frame of the caller may bring."""

    BEGUN = "begun"
    DECIDED = "decided"
    """Its kind is known, the first time or anew."""
    ENDED = "ended"


def classify(features: Vector) -> OverlapKind:
    """Return what the beginning of an overlap is most likely of."""
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
        """`classify` decides from the features of a beginning."""
        self._classify = classify
        self.overlapping = False
        """Whether an overlap goes on."""
        self.kind: OverlapKind | None = None
        """Of the overlap that goes on or has ended last; None until it is decided."""
        self.change: OverlapChange | None = None
        """What the last frame has brought."""
        self.began = self.ended = 0
        """Its first frame and the one after its last loud one, counted from the first frame that was pushed."""
        self.both = 0
        """Frames of it in which the bot was voiced too."""
        self.stopped = False
        """Whether the bot stopped while the caller went on."""
        self._usual = UsualVoice()
        self._frames = 0
        """How many have been pushed."""
        self._last = SILENCE
        self._recent: deque[tuple[bytes, float]] = deque(maxlen=RESTART_FRAMES)
        """The last frames, each with the one before it, and their levels."""
        before = APART_FRAMES + ONSET_FRAMES
        self._before: deque[float] = deque([SILENT] * before, before)
        """The levels of the last frames."""
        self._lead: list[float] = []
        """Those before the overlap."""
        self._levels: list[float] = []
        self._voices: list[VoiceFrame] = []
        """Of the latest loud frames, then those of an overlap."""
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
        """Whether the overlap has become an interruption in this frame because it lasts."""
        lasts = self.overlapping and self.age == LASTING_FRAMES
        return lasts and self.kind is OverlapKind.INTERRUPTION

    def push(self, pcm: bytes, vad: Vad | None, *, loud: bool, bot: bool) -> OverlapChange | None:
        """Process the next 20 ms of the caller.

        `vad` has measured the frame, None for digital silence; `loud` says whether the frame is loud enough for a voice, `bot` whether
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
        """Return whether a frame is that of a caller who was silent, or far softer."""
        if self._apart >= APART_FRAMES:
            return True
        return dbov > max(list(self._before)[:APART_FRAMES]) + JUMP_DB

    def restart(self, vad: Vad) -> None:
        """Begin an overlap with the latest frames: a voice detector has found a voice where there was none yet, or a noise."""
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
        """Classify the overlap, and find its end."""
        none = self.kind is OverlapKind.NOISE or self.kind is OverlapKind.BACKCHANNEL
        if loud and none and dbov > max(self._levels) + LOUDER_DB:
            return self._end(APART_FRAMES)
        self._quiet = 0 if loud else self._quiet + 1
        self._apart = self._quiet
        self.ended = self._frames if loud else self.ended
        self.both += bot and loud
        if self.kind is not OverlapKind.INTERRUPTION and self.age <= LASTING_FRAMES:
            self._measure(window, dbov)
        if self.kind is None:  # It ends once that is known.
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
        """Count the frames that are the voice of who began the overlap, and no music behind it."""
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
