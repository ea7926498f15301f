"""Taking turns with a caller: when one begins to speak, when one has said it, what one has heard.

Pure, fed with 20 ms frames.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS
from bridge.audio.level import level
from bridge.audio.vad import Vad

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")
LONGEST_SENTENCE: Final = 400
"""Characters; what has no end before is cut at a word."""


class Moment(StrEnum):
    """What a frame of the caller's may bring."""

    STARTED = "started"
    """The caller begins to speak."""
    ENDED = "ended"
    """The caller has said what there was to say; `Turns.take` gives it."""
    SILENT = "silent"
    """Nobody has said anything for too long."""


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """How turns are taken, in seconds."""

    onset: float = 0.06
    """So long a voice must last until it counts: less than it takes to annoy who interrupts."""
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


class Turns:
    """The caller's side of a talk."""

    def __init__(self, limits: TurnLimits | None = None) -> None:
        self._limits = limits or TurnLimits()
        self._vad = Vad()
        self._before: deque[bytes] = deque(maxlen=_frames(self._limits.before + self._limits.onset))
        self._loud = 0
        self._quiet = 0
        self._idle = 0
        self._utterance: list[bytes] | None = None
        self._taken = b""

    @property
    def open(self) -> bool:
        """Whether the caller is in the middle of an utterance."""
        return self._utterance is not None

    def push(self, pcm: bytes, *, busy: bool, speaking: bool) -> Moment | None:
        """Take the next 20 ms of the caller.

        Args:
            pcm: 640 bytes.
            busy: whether it is our turn: we speak, or are about to; the silence is not theirs.
            speaking: whether we are heard now.
        """
        loud = self._vad.push(pcm)
        if loud and speaking and not self.open:
            loud = level(pcm) >= self._limits.interrupting_dbov
        if self._utterance is not None:
            return self._go_on(self._utterance, pcm, loud=loud)
        self._before.append(pcm)
        self._loud = self._loud + 1 if loud else 0
        if self._loud >= _frames(self._limits.onset):
            self._utterance = list(self._before)
            self._before.clear()
            self._loud = self._quiet = self._idle = 0
            return Moment.STARTED
        self._idle = 0 if busy else self._idle + 1
        if self._idle >= _frames(self._limits.silence):
            self._idle = 0
            return Moment.SILENT
        return None

    def take(self) -> bytes:
        """Give the utterance that has ended, once."""
        taken, self._taken = self._taken, b""
        return taken

    def _go_on(self, utterance: list[bytes], pcm: bytes, *, loud: bool) -> Moment | None:
        utterance.append(pcm)
        self._quiet = 0 if loud else self._quiet + 1
        ended = self._quiet >= _frames(self._limits.end)
        if not ended and len(utterance) < _frames(self._limits.longest):
            return None
        spare = max(0, self._quiet - _frames(self._limits.after))
        self._taken = b"".join(utterance[: len(utterance) - spare])
        self._utterance = None
        self._quiet = 0
        return Moment.ENDED


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of ours, and how long it takes to say it."""

    text: str
    seconds: float


def heard(said: Iterable[Said], seconds: float) -> str:
    """Give what was heard of several sentences when so many seconds of them were.

    The one that was interrupted is cut behind the last word that was whole, taking all its
    letters as equally long.
    """
    texts: list[str] = []
    for sentence in said:
        if seconds >= sentence.seconds - FRAME_SECONDS / 2:
            texts.append(sentence.text)
            seconds -= sentence.seconds
            continue
        share = max(0.0, seconds) / sentence.seconds
        whole, _, _ = sentence.text[: int(len(sentence.text) * share) + 1].rpartition(" ")
        if whole:
            texts.append(whole + " …")
        break
    return " ".join(texts)


class Sentences:
    """Cuts a text that comes in pieces into sentences, each given as soon as it is whole."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, piece: str) -> list[str]:
        """Take a piece; give the sentences that are whole now."""
        *whole, self._rest = _SENTENCE_END.split(self._rest + piece)
        while len(self._rest) > LONGEST_SENTENCE:
            cut = self._rest.rfind(" ", 1, LONGEST_SENTENCE)
            cut = cut if cut > 0 else LONGEST_SENTENCE
            whole.append(self._rest[:cut])
            self._rest = self._rest[cut:].lstrip()
        return [text.strip() for text in whole if text.strip()]

    def finish(self) -> list[str]:
        """Give what is left."""
        rest, self._rest = self._rest.strip(), ""
        return [rest] if rest else []


def whole_frames(pcm: bytes) -> bytes:
    """Fill sound up with silence to whole frames."""
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)
