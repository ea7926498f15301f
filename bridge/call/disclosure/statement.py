"""The statement of a disclosure, frame by frame; pure: times are arguments.

A person who speaks over it has not heard it. It then stops, waits for a pause, and starts again from the beginning; the second
time it is spoken to its end, whoever speaks.
"""

from enum import Enum, auto
from typing import Final

from bridge.audio.detect.level import level
from bridge.audio.detect.speech import SpeechMeter
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS

INTERRUPTING_SECONDS: Final = 0.3
"""How much speech interrupts it."""
INTERRUPTING_DBOV: Final = -45.0
"""Softer sound may be its own echo."""
PAUSE_SECONDS: Final = 0.4
"""Silence of the others after which it is repeated."""
MAX_PAUSE_SECONDS: Final = 5.0
"""Timeout after which it is repeated without such a pause."""


class _State(Enum):
    WAITING = auto()
    SPEAKING = auto()
    INTERRUPTED = auto()
    OVER = auto()


class Statement:
    """One statement, spoken to its end."""

    def __init__(self, pcm: bytes) -> None:
        """`pcm` has 16-bit samples at 16 kHz; the last frame is padded with silence."""
        self._pcm = pcm
        self._at = 0
        self._state = _State.WAITING
        self._meter = SpeechMeter()
        self._heard = 0.0
        """Seconds of speech over it so far."""
        self._again_by = 0.0
        self.interrupted = False
        """Whether it was interrupted, and is or will be repeated."""
        self.began = 0.0
        """When the complete statement began."""
        self.ended = 0.0

    @property
    def over(self) -> bool:
        """Whether it has been spoken completely."""
        return self._state is _State.OVER

    def pull(self, now: float) -> bytes | None:
        """Return the next 20 ms; None while it waits and once it is over."""
        if self._state is _State.INTERRUPTED and self._pauses(now):
            self._state, self._at = _State.WAITING, 0
        if self._state is _State.WAITING:
            self._state, self.began = _State.SPEAKING, now
        if self._state is not _State.SPEAKING:
            return None
        frame = self._pcm[self._at : self._at + FRAME_BYTES]
        if not frame:
            self._state, self.ended = _State.OVER, now
            return None
        self._at += FRAME_BYTES
        return frame.ljust(FRAME_BYTES, b"\0")

    def hear(self, pcm: bytes, now: float) -> None:
        """Process a frame of its listeners."""
        self._meter.push(pcm, now)
        if self._state is not _State.SPEAKING or self.interrupted:
            return
        if self._meter.speaking and level(pcm) > INTERRUPTING_DBOV:
            self._heard += FRAME_SECONDS
        if self._heard >= INTERRUPTING_SECONDS:
            self.interrupted, self._state = True, _State.INTERRUPTED
            self._again_by = now + MAX_PAUSE_SECONDS

    def _pauses(self, now: float) -> bool:
        silent = not self._meter.speaking and now - self._meter.ended >= PAUSE_SECONDS
        return silent or now >= self._again_by
