"""Taking turns with a caller: when one begins to speak, and when one has said it.

Pure, fed with 20 ms frames. Two listen: energy, which is quick and takes any noise for a voice, and
where there is one a judge, who knows voices and needs longer. What energy notices makes us pause;
what the judge confirms makes us stop, and what it does not lets us go on. `docs/voice-activity.md`
has the figures.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from bridge.audio.frame import FRAME_SECONDS
from bridge.audio.level import level
from bridge.audio.vad import Vad

CALM_SECONDS: Final = 0.2
"""So long it must be quiet until the next noise is a new one."""
WARY_SECONDS: Final = 2.0
"""After a noise that was no voice the next ones do not make us pause for so long."""
LAG_SECONDS: Final = 0.06
"""So much later than energy a judge knows of a voice's end; where both agree, energy's counts."""
MAX_WARY_SECONDS: Final = 32.0
"""It doubles with every such noise up to this, until a voice comes: where one types, one types on."""


class TurnEvent(StrEnum):
    """What a frame of the caller's may bring."""

    NOTICED = "noticed"
    """Something is heard that may be a voice."""
    DISMISSED = "dismissed"
    """It was none."""
    STARTED = "started"
    """The caller speaks."""
    ENDED = "ended"
    """The caller has said what there was to say; `TurnDetector.take` gives it."""
    SILENT = "silent"
    """Nobody has said anything for too long."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How turns are taken, in seconds."""

    notice: float = 0.04
    """So long a noise must last until it is noticed, and judged."""
    onset: float = 0.06
    """So long it must last to count as a voice where nobody judges: a click is shorter."""
    doubt: float = 0.3
    """How long the judge may take over what was noticed."""
    end: float = 0.7
    """Silence that ends an utterance."""
    longest: float = 30.0
    """An utterance that lasts longer is taken as it is."""
    silence: float = 10.0
    """How long nobody may speak."""
    before: float = 0.3
    """How much of the sound before the onset belongs to the utterance."""
    after: float = 0.2
    """How much of the silence at the end belongs to it."""
    interrupting_dbov: float = -45.0
    """How loud a voice must be to interrupt: what is softer may be our own, come back."""


class VoiceDetector(Protocol):
    """Knows a voice from a noise."""

    def reset(self) -> None:
        """Forget what was heard: what follows does not follow it."""
        ...

    def push(self, pcm: bytes) -> bool:
        """Take the next 20 ms; give whether a voice is in what was heard last."""
        ...


class TurnDetector:
    """The caller's side of a talk."""

    def __init__(
        self, limits: TurnLimits | None = None, judge: VoiceDetector | None = None
    ) -> None:
        """Listen; without a judge every noise counts as a voice once it is noticed."""
        self._limits = limits or TurnLimits()
        self._judge = judge
        self._vad = Vad()
        self._before: deque[bytes] = deque(maxlen=self._kept)
        self._loud = 0
        self._quiet = 0
        self._hushed = 0
        self._idle = 0
        self._doubted = 0
        """Frames of the noise that is being judged; 0 while there is none."""
        self._wary = 0
        self._wariness = WARY_SECONDS
        self._noticed = False
        self._utterance: list[bytes] | None = None
        self._taken = b""

    @property
    def judge(self) -> VoiceDetector | None:
        """Who knows a voice from a noise; may come later."""
        return self._judge

    @judge.setter
    def judge(self, judge: VoiceDetector) -> None:
        self._judge = judge
        self._before = deque(self._before, maxlen=self._kept)

    @property
    def _kept(self) -> int:
        doubt = self._limits.doubt if self._judge is not None else 0.0
        return _frames(self._limits.before + self._needed + doubt)

    @property
    def _needed(self) -> float:
        return self._limits.onset if self._judge is None else self._limits.notice

    @property
    def open(self) -> bool:
        """Whether the caller is in the middle of an utterance."""
        return self._utterance is not None

    def push(self, pcm: bytes, *, busy: bool, speaking: bool) -> TurnEvent | None:
        """Take the next 20 ms of the caller.

        Args:
            pcm: 640 bytes.
            busy: whether it is our turn: we speak, or are about to; the silence is not theirs.
            speaking: whether we are heard now.
        """
        loud = self._vad.push(pcm)
        if self._utterance is not None:
            return self._go_on(self._utterance, pcm, loud=loud)
        if loud and speaking:
            loud = level(pcm) >= self._limits.interrupting_dbov
        self._before.append(pcm)
        self._wary = max(0, self._wary - 1)
        moment = self._weigh(pcm, loud=loud) if self._doubted else self._notice(loud=loud)
        return moment or self._wait(busy=busy)

    def take(self) -> bytes:
        """Give the utterance that has ended, once."""
        taken, self._taken = self._taken, b""
        return taken

    def _notice(self, *, loud: bool) -> TurnEvent | None:
        """Look whether a noise begins."""
        self._loud = self._loud + 1 if loud else 0
        if self._loud < max(1, _frames(self._needed)):
            return None
        self._loud = 0
        if self._judge is None:
            return self._start()
        self._judge.reset()
        recent = _frames(self._limits.before + self._needed)
        judged = [self._judge.push(pcm) for pcm in list(self._before)[-recent:]]
        if any(judged):
            return self._start()
        self._doubted, self._quiet = 1, 0
        self._noticed = not self._wary
        return TurnEvent.NOTICED if self._noticed else None

    def _weigh(self, pcm: bytes, *, loud: bool) -> TurnEvent | None:
        """Let a noise be judged, until it is a voice or over."""
        if self._judge is not None and self._judge.push(pcm):
            return self._start()
        self._doubted += 1
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet >= _frames(CALM_SECONDS):
            self._doubted = 0
        if not self._noticed or 0 < self._doubted < _frames(self._limits.doubt):
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
        self._loud = self._quiet = self._hushed = self._idle = self._doubted = 0
        self._noticed = False
        self._wariness = WARY_SECONDS
        return TurnEvent.STARTED

    def _go_on(self, utterance: list[bytes], pcm: bytes, *, loud: bool) -> TurnEvent | None:
        utterance.append(pcm)
        voice = self._judge.push(pcm) if self._judge is not None else loud
        self._hushed = 0 if loud else self._hushed + 1
        self._quiet = 0 if voice else self._quiet + 1
        lag = _frames(LAG_SECONDS) if self._quiet else 0
        quiet = max(self._quiet, min(self._hushed, self._quiet + lag))
        ended = quiet >= _frames(self._limits.end)
        if not ended and len(utterance) < _frames(self._limits.longest):
            return None
        spare = max(0, quiet - _frames(self._limits.after))
        self._taken = b"".join(utterance[: len(utterance) - spare])
        self._utterance = None
        self._quiet = 0
        return TurnEvent.ENDED


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)
