"""Lowering voices under what is to be heard over them, without clicks: gains move in ramps."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import FRAME_SAMPLES

FALL_FRAMES: Final = 3
"""In 60 ms a voice is down."""
RISE_FRAMES: Final = 10
"""In 200 ms it is back: a gap in the sound over it is not heard as a step."""

_ROUNDING: Final = 1e-6
_PLACES: Final = np.arange(1, FRAME_SAMPLES + 1, dtype=np.float32) / FRAME_SAMPLES


class Ducking:
    """How far the voices that one party hears are down, frame by frame."""

    __slots__ = ("_depth", "gain")

    def __init__(self) -> None:
        self.gain = 1.0
        """What the last frame ended with, 0 to 1."""
        self._depth = 1.0
        """How far down it was last to go."""

    @property
    def resting(self) -> bool:
        """Whether voices are as loud as they came."""
        return self.gain == 1.0

    def mix(self, voices: Sequence[bytes], over: Sequence[bytes], wanted: float) -> bytes | None:
        """Mix one frame, and move towards the gain that is wanted.

        Args:
            voices: what is lowered, frames of 640 bytes.
            over: what is heard over it as it is.
            wanted: the gain that voices are to have; 1.0 when nothing is heard over them.

        Returns:
            The frame, clipped at full scale; None when there is nothing in it.
        """
        before, self.gain = self.gain, self._next(wanted)
        if not voices and not over:
            return None
        total = _sum(voices)
        if before == self.gain:
            total *= self.gain
        else:
            total *= before + (self.gain - before) * _PLACES
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


def gain_of(decibels: float) -> float:
    """Give the factor of a voice that is to be lowered by so many decibels."""
    return float(10 ** (-decibels / 20))


def _sum(frames: Sequence[bytes]) -> NDArray[np.float32]:
    total = np.zeros(FRAME_SAMPLES, np.float32)
    for pcm in frames:
        total += np.frombuffer(pcm, np.int16)
    return total
