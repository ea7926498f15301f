"""Turn detection: when a caller starts to speak, and when an utterance has ended.

Pure, fed with 20 ms frames. Energy detection is fast but takes any noise for a voice; an optional
voice detector is accurate but slower. The agent pauses at what energy notices, stops when the
detector confirms a voice, and resumes otherwise. `docs/voice-activity.md` has measurements.
"""

from collections import deque
from enum import StrEnum
from typing import Final, Protocol

from bridge.audio.detect.vad import Vad
from bridge.audio.frame import FRAME_SECONDS
from bridge.settings.agent import Agent

NOTICE_SECONDS: Final = 0.04
"""Noise of this length is noticed and checked."""
ONSET_SECONDS: Final = 0.06
"""Without a detector, noise of this length counts as a voice; a click is shorter."""
DECISION_SECONDS: Final = 0.3
"""Time limit of the detector's decision."""
GAP_SECONDS: Final = 0.2
"""Silence that separates two noises."""
HOLD_OFF_SECONDS: Final = 2.0
"""After a dismissed noise, further ones do not pause the agent for this long."""
MAX_HOLD_OFF_SECONDS: Final = 32.0
"""Maximum of that time, which doubles with every dismissed noise (such as typing)."""
LAG_SECONDS: Final = 0.06
"""Lag of the detector behind energy at the end of a voice; if both agree, energy counts."""
BEFORE_SECONDS: Final = 0.3
"""Audio before the onset that belongs to the utterance."""
AFTER_SECONDS: Final = 0.2
"""Silence at the end that belongs to it."""


class TurnEvent(StrEnum):
    """What a frame of the caller may signal."""

    NOTICED = "noticed"
    """A noise that may be a voice."""
    DISMISSED = "dismissed"
    """The noise was not a voice."""
    STARTED = "started"
    """The caller speaks."""
    ENDED = "ended"
    """The utterance has ended (`TurnDetector.take_utterance`)."""
    SILENT = "silent"
    """The caller has been silent for too long."""


class VoiceDetector(Protocol):
    """Distinguishes voice from noise."""

    def reset(self) -> None:
        """Reset the state: the following audio is not contiguous."""

    def push(self, pcm: bytes) -> bool:
        """Process 20 ms; return whether there is a voice in the latest audio."""


class TurnDetector:
    """Detects the turns of one caller."""

    def __init__(
        self, settings: Agent | None = None, detector: VoiceDetector | None = None
    ) -> None:
        """Create it; without a detector, every noise longer than the onset counts as a voice."""
        self._settings = settings or Agent()
        self.detector = detector
        self.vad = Vad()
        """Measures the level of the caller and of the background."""
        self.loud = False
        """Whether the last frame was loud enough for a voice; while the agent speaks, for one that may interrupt it."""
        self._before: deque[bytes] = deque(maxlen=self._history_frames)
        self._loud = 0
        self._quiet = 0
        self._below_level = 0
        self._idle = 0
        self._undecided = 0
        """Frames of the noise that is being checked; 0 if there is none."""
        self._hold_off = 0
        self._hold_off_seconds = HOLD_OFF_SECONDS
        self._noticed = False
        self._utterance: list[bytes] | None = None
        self._ended = b""

    def use(self, detector: VoiceDetector) -> None:
        """Distinguish voices from noise by a detector from here on."""
        self.detector = detector
        self._before = deque(self._before, maxlen=self._history_frames)

    @property
    def hearing(self) -> bool:
        """Whether an utterance has begun and not ended."""
        return self._utterance is not None

    @property
    def _history_frames(self) -> int:
        decision = DECISION_SECONDS if self.detector is not None else 0.0
        return _frames(BEFORE_SECONDS + self._needed + decision)

    @property
    def _needed(self) -> float:
        return ONSET_SECONDS if self.detector is None else NOTICE_SECONDS

    def push(self, pcm: bytes, *, busy: bool, speaking: bool) -> TurnEvent | None:
        """Process the next 20 ms of the caller.

        While the agent is `busy`, silence does not count; `speaking` means that it is audible now.
        """
        loud = self.loud = self.vad.push(pcm)
        if self._utterance is not None:
            return self._continue(self._utterance, pcm, loud=loud)
        if loud and speaking:
            loud = self.loud = self.vad.level_dbov >= self._settings.interrupting_dbov
        self._before.append(pcm)
        self._hold_off = max(0, self._hold_off - 1)
        event = self._decide(pcm, loud=loud) if self._undecided else self._notice(loud=loud)
        return event or self._wait(busy=busy)

    def take_utterance(self) -> bytes:
        """Return the utterance that has ended, once."""
        utterance, self._ended = self._ended, b""
        return utterance

    def _notice(self, *, loud: bool) -> TurnEvent | None:
        """Check whether a noise begins."""
        self._loud = self._loud + 1 if loud else 0
        if self._loud < max(1, _frames(self._needed)):
            return None
        self._loud = 0
        if self.detector is None:
            return self._start()
        self.detector.reset()
        recent = _frames(BEFORE_SECONDS + self._needed)
        voices = [self.detector.push(pcm) for pcm in list(self._before)[-recent:]]
        if any(voices):
            return self._start()
        self._undecided, self._quiet = 1, 0
        self._noticed = not self._hold_off
        return TurnEvent.NOTICED if self._noticed else None

    def _decide(self, pcm: bytes, *, loud: bool) -> TurnEvent | None:
        """Check a noise until it is confirmed as a voice, dismissed or over."""
        if self.detector is not None and self.detector.push(pcm):
            return self._start()
        self._undecided += 1
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet >= _frames(GAP_SECONDS):
            self._undecided = 0
        if not self._noticed or 0 < self._undecided < _frames(DECISION_SECONDS):
            return None
        self._noticed = False
        self._hold_off = _frames(self._hold_off_seconds)
        self._hold_off_seconds = min(2 * self._hold_off_seconds, MAX_HOLD_OFF_SECONDS)
        return TurnEvent.DISMISSED

    def _wait(self, *, busy: bool) -> TurnEvent | None:
        self._idle = 0 if busy else self._idle + 1
        if self._idle < _frames(self._settings.silence_seconds):
            return None
        self._idle = 0
        return TurnEvent.SILENT

    def _start(self) -> TurnEvent:
        self._utterance = list(self._before)
        self._before.clear()
        self._loud = self._quiet = self._below_level = self._idle = self._undecided = 0
        self._noticed = False
        self._hold_off_seconds = HOLD_OFF_SECONDS
        return TurnEvent.STARTED

    def _continue(self, utterance: list[bytes], pcm: bytes, *, loud: bool) -> TurnEvent | None:
        utterance.append(pcm)
        voice = self.detector.push(pcm) if self.detector is not None else loud
        self._below_level = 0 if loud else self._below_level + 1
        self._quiet = 0 if voice else self._quiet + 1
        lag = _frames(LAG_SECONDS) if self._quiet else 0
        quiet = max(self._quiet, min(self._below_level, self._quiet + lag))
        ended = quiet >= _frames(self._settings.end_seconds)
        if not ended and len(utterance) < _frames(self._settings.max_utterance_seconds):
            return None
        spare = max(0, quiet - _frames(AFTER_SECONDS))
        self._ended = b"".join(utterance[: len(utterance) - spare])
        self._utterance = None
        self._quiet = 0
        return TurnEvent.ENDED


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)
