"""Answering machine detection (AMD): who answered a call, and when the machine's beep was over.

A person says little and then waits; a machine talks on, and beeps. The audio from the answer on decides:

* speech of up to 2.7 s, then 1.2 s of silence: a person
* speech for longer, with shorter pauses: a machine
* a steady tone of 0.2 to 1.5 s: a machine's beep, whatever came before it
* none of these within 8 s: unknown

Speech that is much softer than the loudest so far is of others in the same room, and does not count.

After a machine, or an unknown answer, the beep is awaited until 40 s after the answer.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.audio.detect.level import level
from bridge.audio.detect.tone_detector import ToneDetector
from bridge.audio.detect.vad import noise_floor
from bridge.audio.frame import FRAME_SECONDS

GREETING_SECONDS: Final = 2.7
"""Longest greeting of a person."""
PAUSE_SECONDS: Final = 1.2
"""Silence after which a person waits for an answer."""
DECISION_SECONDS: Final = 8.0
BEEP_SECONDS: Final = 40.0
"""After the answer; a greeting may be that long."""
MIN_BEEP: Final = 0.2
MAX_BEEP: Final = 1.5
MIN_WORD: Final = 0.08
"""Shorter noises are no speech."""
TONE_SECONDS: Final = 0.1
"""From this duration on a tone is not counted as speech."""

_WORD_GAP: Final = 3
"""Frames within a word that may be quiet."""
_FLOOR_FRAMES: Final = 100
_MARGIN: Final = 7.0
"""dB above the quietest frame of the last 2 s that count as speech."""
_MIN_SPEECH: Final = -52.0
_SOFTER: Final = 12.0
"""dB below the loudest speech so far; what is softer is said by somebody else."""
_LASTING: Final = 3
"""Frames for which a level must last to be that of speech."""


class Answerer(StrEnum):
    """Who answered."""

    PERSON = "person"
    MACHINE = "machine"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found; times are seconds of audio."""

    answerer: Answerer
    at: float
    beep_at: float | None = None
    """When the beep was over; None if there was none yet."""


class AnswererDetector:
    """Listens to one party from its answer on."""

    def __init__(self) -> None:
        self.done = False
        """Whether nothing more can be found."""
        self._frames = 0
        self._tone = ToneDetector()
        self._speech = _Speech()
        self._found: Answerer | None = None

    def push(self, pcm: bytes) -> Detection | None:
        """Process the next 20 ms; return what they decide: at most a result, and a beep after it."""
        if self.done:
            return None
        self._frames += 1
        now = self._frames * FRAME_SECONDS
        tone = self._tone.push(pcm)
        if MIN_BEEP <= tone <= MAX_BEEP:
            self.done = True
            return Detection(Answerer.MACHINE, now, beep_at=now)
        if self._found is not None:
            self.done = now >= BEEP_SECONDS
            return None
        self._speech.push(pcm, now, is_tone=self._tone.seconds >= TONE_SECONDS)
        self._found = self._decide(now)
        self.done = self._found is Answerer.PERSON
        return None if self._found is None else Detection(self._found, now)

    def _decide(self, now: float) -> Answerer | None:
        speech = self._speech
        if speech.began is None:
            return Answerer.UNKNOWN if now >= DECISION_SECONDS else None
        if speech.ended - speech.began > GREETING_SECONDS:
            return Answerer.MACHINE
        if now - speech.ended >= PAUSE_SECONDS and not self._tone.seconds:
            return Answerer.PERSON
        return None


class _Speech:
    """When the first stretch of speech began, and when its last word so far ended.

    Only what is about as loud as the loudest so far counts: others may talk in the same room.
    """

    def __init__(self) -> None:
        self.ended = 0.0
        self._words: list[_Word] = []
        self._levels: deque[float] = deque(maxlen=_FLOOR_FRAMES)
        self._peak = -127.0
        self._word: _Word | None = None
        self._gap = 0

    @property
    def began(self) -> float | None:
        """When the first word began; None if there was none."""
        return self._words[0].began if self._words else None

    def push(self, pcm: bytes, now: float, *, is_tone: bool) -> None:
        """Process a frame that ends at `now`."""
        loudness = level(pcm)
        self._levels.append(loudness)
        floor = noise_floor(self._levels)
        if is_tone or loudness <= max(floor + _MARGIN, _MIN_SPEECH, self._peak - _SOFTER):
            self._gap += 1
            if self._gap > _WORD_GAP or is_tone:
                self._word = None
            return
        self._gap = 0
        word = self._word = self._word or _Word(now - FRAME_SECONDS)
        word.frames += 1
        # A click is no voice: the loudest that has lasted.
        lasting = min(list(self._levels)[-_LASTING:])
        word.peak = max(word.peak, lasting)
        if lasting > self._peak:
            self._peak = lasting
            self._words = [one for one in self._words if one.peak > lasting - _SOFTER]
        if word.frames * FRAME_SECONDS >= MIN_WORD:
            if word not in self._words:
                self._words.append(word)
            self.ended = now


@dataclass(slots=True, eq=False)
class _Word:
    began: float
    frames: int = 0
    peak: float = -127.0
