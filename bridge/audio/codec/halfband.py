"""Conversion between 8 and 16 kHz: half-band filters, which compute every other sample only.

As `resample`, with half its delay (2 ms) and at half its cost; flat to 3.4 kHz, 57 dB down from 4.6 kHz.

The taps have 24 bits and whole samples 16, so that a double holds every sum of their products exactly: the result depends
neither on the order in which BLAS adds up, nor on the length of pieces, and is that of the compiled packet path (rtc/g711.c).
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.audio.codec.resample import Polyphase

Samples: TypeAlias = NDArray[np.float32]
"""In the range of 16 bits."""
_Doubles: TypeAlias = NDArray[np.float64]

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


def _interpolation() -> _Doubles:
    """Return the matrix that makes `STEP` samples of a window that begins `_TAPS - 1` samples earlier."""
    matrix = np.zeros((_TAPS - 1 + STEP // 2, STEP))
    for sample in range(STEP // 2):
        matrix[sample + _TAPS // 2 - 1, 2 * sample] = 1.0
        matrix[sample : sample + _TAPS, 2 * sample + 1] = _BETWEEN
    matrix.flags.writeable = False
    return matrix


def _decimation() -> _Doubles:
    """Return the matrix that makes `STEP / 2` samples of a window that begins `_PAST` samples earlier."""
    matrix = np.zeros((_PAST + STEP, STEP // 2))
    for column in range(STEP // 2):
        matrix[2 * column + 1 : 2 * (column + _TAPS) : 2, column] = _BETWEEN / 2
        matrix[2 * column + _TAPS, column] = 0.5
    matrix.flags.writeable = False
    return matrix


_INTERPOLATION: Final = _interpolation()
_DECIMATION: Final = _decimation()


def design_interpolator() -> Polyphase:
    """Return the filter of an `Interpolator`."""
    rows = np.zeros((2, _TAPS), np.float32)
    rows[0, _TAPS // 2 - 1] = 1.0
    rows[1] = _BETWEEN
    return Polyphase(2, 1, rows)


def design_decimator() -> Polyphase:
    """Return the filter of a `Decimator`."""
    row = np.zeros((1, 2 * _TAPS - 1), np.float32)
    row[0, ::2] = _BETWEEN / 2
    row[0, _TAPS - 1] = 0.5
    return Polyphase(1, 2, row, first=1)


class Interpolator:
    """8 to 16 kHz, for one stream."""

    __slots__ = ("_history",)

    def __init__(self, history: bytes = bytes(2 * (_TAPS - 1))) -> None:
        """Make one; `history` is that of another one which it continues."""
        self._history: _Doubles = np.frombuffer(history, "<i2").astype(np.float64)

    @property
    def history(self) -> bytes:
        """The newest samples, 16-bit little-endian: all that the next ones depend on."""
        newest: bytes = self._history.astype("<i2").tobytes()
        return newest

    def process(self, samples: Samples) -> bytes:
        """Return twice as many 16-bit samples, little-endian; pieces have any length, and whole numbers."""
        count = len(samples)
        spare = np.zeros(-count % (STEP // 2))
        padded = np.concatenate((self._history, samples, spare), dtype=np.float64)
        self._history = padded[count : count + _TAPS - 1]
        windows = _windows(padded, -(-count // (STEP // 2)), STEP // 2, _TAPS - 1 + STEP // 2)
        output: _Doubles = (windows @ _INTERPOLATION).reshape(-1)[: 2 * count]
        return to_pcm(output).tobytes()


class Decimator:
    """16 to 8 kHz, for one stream."""

    __slots__ = ("_history",)

    def __init__(self) -> None:
        self._history: _Doubles = np.zeros(_PAST)

    @property
    def history(self) -> bytes:
        """The newest samples, as `Interpolator.history`."""
        newest: bytes = self._history.astype("<i2").tobytes()
        return newest

    def process(self, pcm: bytes) -> _Doubles:
        """Return half as many samples, neither rounded nor clipped, of a multiple of `STEP` 16-bit ones."""
        samples = np.frombuffer(pcm, "<i2")
        padded = np.concatenate((self._history, samples), dtype=np.float64)
        self._history = padded[len(samples) :]
        windows = _windows(padded, len(samples) // STEP, STEP, _PAST + STEP)
        output: _Doubles = (windows @ _DECIMATION).reshape(-1)
        return output


def _windows(samples: _Doubles, count: int, step: int, length: int) -> _Doubles:
    """Return windows that begin `step` samples apart, one a row."""
    size = samples.itemsize
    windows: _Doubles = np.ndarray((count, length), np.float64, samples, 0, (step * size, size))
    # Copied, because NumPy does not use BLAS for overlapping memory.
    return windows.copy()


def to_pcm(samples: Samples | _Doubles) -> NDArray[np.int16]:
    """Round to 16 bits, clipping; overwrites `samples`."""
    np.rint(samples, out=samples)
    np.minimum(samples, 32767.0, out=samples)
    np.maximum(samples, -32768.0, out=samples)
    return samples.astype("<i2")
