"""Detects speech that is played too fast or too slowly, as at a wrong sample rate, by pitch and spectrum together.

A voice played at twice its speed has both an octave higher. Voices differ in pitch by more than that, but hardly in the
centre of their spectrum, which follows from the size of the vocal tract. Both together tell most voices at twice their speed
from all natural ones, but few at one and a half times it; uncertain cases are not reported.
"""

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE

PAIR_BYTES: Final = 4 * FRAME_SAMPLES
"""Two frames, 40 ms, in which even a low voice has three periods."""
FAST: Final = 10.0
"""Above all of 94 natural voices, in octaves above 1 Hz: the highest has 9.86. At twice their speed half of them exceed 10.07."""
SLOW: Final = 9.0
"""Below most natural voices, and above nearly all of them at half their speed."""
MIN_PAIRS: Final = 18
"""Minimum of voiced pairs for a result."""
ENOUGH_PAIRS: Final = 60
"""After so many the result hardly changes."""
_SIZE: Final = 1024
_PITCH_WEIGHT: Final = 0.23
_VOICED: Final = 0.5
"""Minimum autocorrelation of a periodic sound after one period."""
_FIRST_PEAK: Final = 0.85
"""The first peak that is nearly as high as the highest is the period; the others are its multiples."""
_SHORTEST: Final = SAMPLE_RATE // 800
_LONGEST: Final = SAMPLE_RATE // 50
_WINDOW: Final = np.hanning(2 * FRAME_SAMPLES)
_HERTZ: Final = np.arange(_SIZE // 2 + 1) * SAMPLE_RATE / _SIZE
_BAND: Final = (_HERTZ > 150.0) & (_HERTZ < 7900.0)
_OCTAVES: Final = np.log2(_HERTZ[_BAND])


class SpeedMeter:
    """Measures the voiced parts of one source of speech."""

    def __init__(self) -> None:
        self._pitches: deque[float] = deque(maxlen=ENOUGH_PAIRS)
        self._powers: NDArray[np.float64] = np.zeros(int(_BAND.sum()))
        self.pairs = 0
        """Voiced pairs so far."""

    def push(self, pcm: bytes) -> None:
        """Process `PAIR_BYTES` of speech; unvoiced sound is ignored."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float64)
        samples = (samples - samples.mean()) * _WINDOW
        power = np.square(np.abs(np.fft.rfft(samples, _SIZE)))
        period = _period(np.fft.irfft(power)[: _LONGEST + 1])
        if not period:
            return
        self.pairs += 1
        self._pitches.append(math.log2(SAMPLE_RATE / period))
        self._powers += power[_BAND] / power.sum()

    @property
    def octaves(self) -> float | None:
        """Return pitch and spectrum as one figure, to be compared with `FAST` and `SLOW`; None until there is enough speech."""
        if self.pairs < MIN_PAIRS:
            return None
        amplitudes = np.sqrt(self._powers)
        centre = float(amplitudes.dot(_OCTAVES) / amplitudes.sum())
        pitch = float(np.median(self._pitches))
        return _PITCH_WEIGHT * pitch + (1 - _PITCH_WEIGHT) * centre


def _period(likeness: NDArray[np.float64]) -> int:
    """Return the period of an autocorrelation in samples; 0 if it is not periodic."""
    found = likeness[_SHORTEST:] / likeness[0] if likeness[0] > 0 else likeness[:0]
    if not len(found) or (highest := float(found.max())) < _VOICED:
        return 0
    inner = found[1:-1]
    peaks = (inner >= found[:-2]) & (inner >= found[2:]) & (inner > _FIRST_PEAK * highest)
    first = np.flatnonzero(peaks)
    return _SHORTEST + 1 + int(first[0]) if len(first) else 0
