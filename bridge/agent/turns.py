"""Turn detection: when a caller starts to speak, and when an utterance has ended.

Pure, fed with 20 ms frames. Energy detection is fast but takes any noise for a voice; an optional
voice detector is accurate but slower. The agent pauses at what energy notices, stops when the
detector confirms a voice, and resumes otherwise. `docs/voice-activity.md` has measurements.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from bridge.audio.frame import FRAME_SECONDS
from bridge.audio.level import level
from bridge.audio.vad import Vad

CALM_SECONDS: Final = 0.2
"""Silence that separates two noises."""
WARY_SECONDS: Final = 2.0
"""After a dismissed noise, further ones do not pause the agent for this long."""
LAG_SECONDS: Final = 0.06
"""Lag of the detector behind energy at the end of a voice; if both agree, energy counts."""
MAX_WARY_SECONDS: Final = 32.0
"""Maximum of that time, which doubles with every dismissed noise (such as typing)."""


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


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Limits of turn detection, in seconds."""

    notice: float = 0.04
    """Noise of this length is noticed and checked."""
    onset: float = 0.06
    """Without a detector, noise of this length counts as a voice; a click is shorter."""
    decision: float = 0.3
    """Time limit of the detector's decision."""
    end: float = 0.7
    """Silence that ends an utterance."""
    max_utterance: float = 30.0
    """A longer utterance is cut."""
    silence: float = 10.0
    """Silence after which `SILENT` is signalled."""
    before: float = 0.3
    """Audio before the onset that belongs to the utterance."""
    after: float = 0.2
    """Silence at the end that belongs to it."""
    interrupting_dbov: float = -45.0
    """Minimum level of an interruption; softer audio may be the agent's echo."""


class VoiceDetector(Protocol):
    """Distinguishes voice from noise."""

    def reset(self) -> None:
        """Reset the state: the following audio is not contiguous."""
        ...

    def push(self, pcm: bytes) -> bool:
        """Process 20 ms; return whether there is a voice in the latest audio."""
        ...


class TurnDetector:
    """Detects the turns of one caller."""

    def __init__(
        self, limits: TurnLimits | None = None, detector: VoiceDetector | None = None
    ) -> None:
        """Create it; without a detector, every noise longer than the onset counts as a voice."""
        self._limits = limits or TurnLimits()
        self._detector = detector
        self._vad = Vad()
        self._before: deque[bytes] = deque(maxlen=self._history_frames)
        self._loud = 0
        self._quiet = 0
        self._below_level = 0
        self._idle = 0
        self._undecided = 0
        """Frames of the noise that is being checked; 0 if there is none."""
        self._wary = 0
        self._wariness = WARY_SECONDS
        self._noticed = False
        self._utterance: list[bytes] | None = None
        self._ended = b""

    @property
    def detector(self) -> VoiceDetector | None:
        """The voice detector; may be set later."""
        return self._detector

    @detector.setter
    def detector(self, detector: VoiceDetector) -> None:
        self._detector = detector
        self._before = deque(self._before, maxlen=self._history_frames)

    @property
    def _history_frames(self) -> int:
        decision = self._limits.decision if self._detector is not None else 0.0
        return _frames(self._limits.before + self._needed + decision)

    @property
    def _needed(self) -> float:
        return self._limits.onset if self._detector is None else self._limits.notice

    @property
    def open(self) -> bool:
        """Whether an utterance is in progress."""
        return self._utterance is not None

    def push(self, pcm: bytes, *, busy: bool, speaking: bool) -> TurnEvent | None:
        """Process the next 20 ms of the caller.

        Args:
            pcm: 640 bytes.
            busy: Whether it is the agent's turn, so that silence does not count.
            speaking: Whether the agent is audible now.
        """
        loud = self._vad.push(pcm)
        if self._utterance is not None:
            return self._continue(self._utterance, pcm, loud=loud)
        if loud and speaking:
            loud = level(pcm) >= self._limits.interrupting_dbov
        self._before.append(pcm)
        self._wary = max(0, self._wary - 1)
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
        if self._detector is None:
            return self._start()
        self._detector.reset()
        recent = _frames(self._limits.before + self._needed)
        judged = [self._detector.push(pcm) for pcm in list(self._before)[-recent:]]
        if any(judged):
            return self._start()
        self._undecided, self._quiet = 1, 0
        self._noticed = not self._wary
        return TurnEvent.NOTICED if self._noticed else None

    def _decide(self, pcm: bytes, *, loud: bool) -> TurnEvent | None:
        """Check a noise until it is confirmed as a voice, dismissed or over."""
        if self._detector is not None and self._detector.push(pcm):
            return self._start()
        self._undecided += 1
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet >= _frames(CALM_SECONDS):
            self._undecided = 0
        if not self._noticed or 0 < self._undecided < _frames(self._limits.decision):
            return None
        self._noticed = False
        self._wary = _frames(self._wariness)
        self._wariness = min(2 * self._wariness, MAX_WARY_SECONDS)
        return TurnEvent.DISMISSED

    def _wait(self, *, busy: bool) -> TurnEvent | None:
        self._idle = 0 if busy else self._idle + 1
        if self._idle < _frames(self._limits.silence):
            return None
        self._idle = 0
        return TurnEvent.SILENT

    def _start(self) -> TurnEvent:
        self._utterance = list(self._before)
        self._before.clear()
        self._loud = self._quiet = self._below_level = self._idle = self._undecided = 0
        self._noticed = False
        self._wariness = WARY_SECONDS
        return TurnEvent.STARTED

    def _continue(self, utterance: list[bytes], pcm: bytes, *, loud: bool) -> TurnEvent | None:
        utterance.append(pcm)
        voice = self._detector.push(pcm) if self._detector is not None else loud
        self._below_level = 0 if loud else self._below_level + 1
        self._quiet = 0 if voice else self._quiet + 1
        lag = _frames(LAG_SECONDS) if self._quiet else 0
        quiet = max(self._quiet, min(self._below_level, self._quiet + lag))
        ended = quiet >= _frames(self._limits.end)
        if not ended and len(utterance) < _frames(self._limits.max_utterance):
            return None
        spare = max(0, quiet - _frames(self._limits.after))
        self._ended = b"".join(utterance[: len(utterance) - spare])
        self._utterance = None
        self._quiet = 0
        return TurnEvent.ENDED


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)
