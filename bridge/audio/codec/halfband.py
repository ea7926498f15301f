"""Conversion between 8 and 16 kHz: half-band filters, which compute every other sample only.

As `resample`, with half its delay (2 ms) and at half its cost; flat to 3.4 kHz, 57 dB down from 4.6 kHz.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""In the range of 16 bits."""

_TAPS: Final = 32
_KAISER_BETA: Final = 5.0


def _design() -> Samples:
    """Return the taps that compute the sample between two others; their sum is 1."""
    offsets = np.arange(_TAPS) - (_TAPS - 1) / 2
    window = np.kaiser(2 * _TAPS + 1, _KAISER_BETA)[1::2]
    wide = np.sinc(offsets) * window
    taps: Samples = (wide / wide.sum()).astype(np.float32)
    taps.flags.writeable = False
    return taps


_BETWEEN: Final = _design()
_PAST: Final = 2 * (_TAPS - 1)
STEP: Final = 32
"""Samples at 16 kHz that one row of a matrix product decimates, or makes."""


def _interpolation() -> Samples:
    """Return the matrix that makes `STEP` samples of a window that begins `_TAPS - 1` samples earlier."""
    matrix = np.zeros((_TAPS - 1 + STEP // 2, STEP), np.float32)
    for sample in range(STEP // 2):
        matrix[sample + _TAPS // 2 - 1, 2 * sample] = 1.0
        matrix[sample : sample + _TAPS, 2 * sample + 1] = _BETWEEN
    matrix.flags.writeable = False
    return matrix


def _decimation() -> Samples:
    """Return the matrix that makes `STEP / 2` samples of a window that begins `_PAST` samples earlier."""
    matrix = np.zeros((_PAST + STEP, STEP // 2), np.float32)
    for column in range(STEP // 2):
        matrix[2 * column + 1 : 2 * (column + _TAPS) : 2, column] = _BETWEEN / 2
        matrix[2 * column + _TAPS, column] = 0.5
    matrix.flags.writeable = False
    return matrix


_INTERPOLATION: Final = _interpolation()
_DECIMATION: Final = _decimation()


class Interpolator:
    """8 to 16 kHz, for one stream."""

    __slots__ = ("_history",)

    def __init__(self) -> None:
        self._history: Samples = np.zeros(_TAPS - 1, np.float32)

    def process(self, samples: Samples) -> bytes:
        """Return twice as many 16-bit samples, little-endian; pieces may have any length."""
        count = len(samples)
        spare = np.zeros(-count % (STEP // 2), np.float32)
        padded = np.concatenate((self._history, samples, spare), dtype=np.float32)
        self._history = padded[count : count + _TAPS - 1]
        windows = _windows(padded, -(-count // (STEP // 2)), STEP // 2, _TAPS - 1 + STEP // 2)
        output: Samples = (windows @ _INTERPOLATION).reshape(-1)[: 2 * count]
        return to_pcm(output).tobytes()


class Decimator:
    """16 to 8 kHz, for one stream."""

    __slots__ = ("_history",)

    def __init__(self) -> None:
        self._history: Samples = np.zeros(_PAST, np.float32)

    def process(self, pcm: bytes) -> Samples:
        """Return half as many samples, neither rounded nor clipped, of a multiple of `STEP` 16-bit ones."""
        samples = np.frombuffer(pcm, "<i2")
        padded = np.concatenate((self._history, samples), dtype=np.float32, casting="unsafe")
        self._history = padded[len(samples) :]
        windows = _windows(padded, len(samples) // STEP, STEP, _PAST + STEP)
        output: Samples = (windows @ _DECIMATION).reshape(-1)
        return output


def _windows(samples: Samples, count: int, step: int, length: int) -> Samples:
    """Return windows that begin `step` samples apart, one a row."""
    size = samples.itemsize
    windows: Samples = np.ndarray((count, length), np.float32, samples, 0, (step * size, size))
    # Copied, because NumPy does not use BLAS for overlapping memory.
    return windows.copy()


def to_pcm(samples: Samples) -> NDArray[np.int16]:
    """Round to 16 bits, clipping; overwrites `samples`."""
    np.rint(samples, out=samples)
    np.minimum(samples, 32767.0, out=samples)
    np.maximum(samples, -32768.0, out=samples)
    return samples.astype("<i2")
