"""Audio level and clipping."""

import math
from collections import deque
from typing import Final

import numpy as np

SILENT: Final = -127.0
"""dBov of digital silence (RFC 6464 §3)."""

QUIET: Final = -60.0
"""dBov below which a party counts as silent."""

LEVEL_EVERY: Final = 22
"""Frames between two measurements of a level, as one costs as much as decoding.

Not 25: a sound that returns every half second, as the beeps of Chromium's test microphone, would be missed, or
measured, each time.
"""

_LOUD: Final = -30.0
"""dBov below which clipping is not checked: a voice that clips is louder."""

_FULL_SCALE_POWER: Final = 32768.0 * 32768.0


class RecentLevel:
    """The highest level of the last second, of the frames that are measured."""

    __slots__ = ("_count", "_levels")

    def __init__(self) -> None:
        self._count = 0
        self._levels: deque[float] = deque((SILENT,), maxlen=3)

    def note(self, pcm: bytes) -> None:
        """Take the next frame, and measure one of `LEVEL_EVERY`."""
        if self._count % LEVEL_EVERY == 0:
            self._levels.append(level(pcm))
        self._count += 1

    def note_level(self, dbov: float) -> None:
        """Take a level that was measured elsewhere."""
        self._levels.append(dbov)

    @property
    def dbov(self) -> float:
        """Return the level; that of silence before the first frame."""
        return max(self._levels)


def level(pcm: bytes) -> float:
    """Measure 16-bit samples in dBov: 0 is a full-scale square wave, -127 digital silence."""
    # Exact in doubles, whatever the order of the sum: the packet path in C measures the same.
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    power = float(samples.dot(samples))
    if power <= 0.0:
        return SILENT
    return max(SILENT, 10.0 * math.log10(power / (_FULL_SCALE_POWER * len(samples))))


def clips(pcm: bytes, loudness: float) -> bool:
    """Return whether 16-bit samples of level `loudness` reach full scale."""
    if loudness < _LOUD:
        return False
    samples = np.frombuffer(pcm, np.int16)
    return bool(samples.max() == 32767 or samples.min() == -32768)
