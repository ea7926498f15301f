"""Ducking: lowering voices under other audio, with gain ramps instead of clicks."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import FRAME_SAMPLES

FALL_FRAMES: Final = 3
"""Frames of the fade down: 60 ms."""
RISE_FRAMES: Final = 10
"""Frames of the fade back up, 200 ms: short gaps in the other audio cause no audible steps."""

_ROUNDING: Final = 1e-6
_RAMP: Final = np.arange(1, FRAME_SAMPLES + 1, dtype=np.float32) / FRAME_SAMPLES


class Ducking:
    """The gain of the voices that one party hears."""

    __slots__ = ("_depth", "gain")

    def __init__(self) -> None:
        self.gain = 1.0
        """Gain at the end of the last frame, 0 to 1."""
        self._depth = 1.0
        """Gain that the last fade down aimed at."""

    @property
    def idle(self) -> bool:
        """Whether the voices pass unchanged."""
        return self.gain == 1.0

    def mix(self, voices: Sequence[bytes], over: Sequence[bytes], wanted: float) -> bytes | None:
        """Mix one frame, clipped at full scale, and move the gain of the voices towards `wanted`.

        Returns:
            The frame; None if there are no voices and nothing `over` them.
        """
        before, self.gain = self.gain, self._next(wanted)
        if not voices and not over:
            return None
        total = _sum(voices)
        if before == self.gain:
            total *= self.gain
        else:
            total *= before + (self.gain - before) * _RAMP
        total += _sum(over)
        return np.clip(np.rint(total), -32768, 32767).astype(np.int16).tobytes()

    def _next(self, wanted: float) -> float:
        if wanted < 1.0:
            self._depth = wanted
        span = 1.0 - self._depth
        if wanted < self.gain:
            lower = self.gain - span / FALL_FRAMES
            return lower if lower > wanted + _ROUNDING else wanted
        higher = self.gain + span / RISE_FRAMES
        return higher if higher < wanted - _ROUNDING else wanted


def attenuation(decibels: float) -> float:
    """Return the gain that lowers a voice by `decibels`."""
    return float(10 ** (-decibels / 20))


def _sum(frames: Sequence[bytes]) -> NDArray[np.float32]:
    total = np.zeros(FRAME_SAMPLES, np.float32)
    for pcm in frames:
        total += np.frombuffer(pcm, np.int16)
    return total
