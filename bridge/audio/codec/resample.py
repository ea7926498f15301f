"""Streaming sample rate conversion."""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

ZERO_CROSSINGS: Final = 32
"""Zero crossings of the filter on each side of its centre, at the lower rate."""
CUTOFF: Final = 0.46
"""The -6 dB point of the filter as a fraction of the lower rate."""
KAISER_BETA: Final = 7.5
"""More than 75 dB of alias suppression."""
BLOCK: Final = 512
"""Samples computed at once; bounds the working memory."""
MAX_PHASES: Final = 8
"""Up to this many phases (all ratios of telephony) a matrix product computes all at once."""

_Floats: TypeAlias = NDArray[np.float32]


class Polyphase(NamedTuple):
    """A filter that yields `up` samples for `down` samples of its input."""

    up: int
    down: int
    rows: _Floats
    """One for each phase; the weight of the oldest sample comes first."""
    first: int = 0
    """Position of the first output sample, in units of `1 / up` input samples."""


class Resampler:
    """A polyphase filter (windowed sinc) for one stream of mono 16-bit audio.

    Every piece yields all samples that are due, so whole frames stay whole frames. The output is
    delayed by `delay_seconds`.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        divisor = math.gcd(source_rate, target_rate)
        self._up = target_rate // divisor
        self._down = source_rate // divisor
        same = self._up == self._down
        self._coefficients = np.ones((1, 1), np.float32) if same else _design(self._up, self._down)
        self._taps = self._coefficients.shape[1]
        few = range(self._up if max(self._up, self._down) <= MAX_PHASES else 0)
        self._matrices = [_matrix(self._coefficients, self._down, phase) for phase in few]
        """By the phase of the first sample; empty above `MAX_PHASES`."""
        self._spare: _Floats = np.zeros(self._taps + 2 * self._down, np.float32)
        """Padding behind the input that completes the last window."""
        self._history: _Floats = np.zeros(self._taps - 1, np.float32)
        self._next = 0
        """Position of the next output sample, in units of `1 / up` input samples."""
        self._middle = 0 if same else ZERO_CROSSINGS * max(self._up, self._down)
        """Position of the filter's centre, in the same units."""
        self.delay_seconds = self._middle / (self._up * source_rate)
        """Group delay of the filter."""

    def process(self, pcm: bytes) -> bytes:
        """Convert a piece of whole samples (signed 16-bit little-endian), of any length."""
        if self._up == self._down or not pcm:
            return pcm
        return b"".join(self._blocks(np.frombuffer(pcm, "<i2").astype(np.float32)))

    def flush(self) -> bytes:
        """Return the tail that the filter still holds, and reset it."""
        rest = self.process(bytes(2 * -(-self._middle // self._up)))
        self._history = np.zeros(self._taps - 1, np.float32)
        self._next = 0
        return rest

    def align(self) -> None:
        """Compensate the filter's delay at the start of a stream; `flush` returns the tail."""
        self._next = self._middle

    def _blocks(self, audio: _Floats) -> Iterator[bytes]:
        samples = np.concatenate((self._history, audio, self._spare))
        end = len(audio) * self._up
        first = self._next
        while first < end:
            count = min(BLOCK, -(-(end - first) // self._down))
            yield self._block(samples, first, count)
            first += count * self._down
        self._next = first - end
        self._history = samples[len(audio) : len(samples) - len(self._spare)]

    def _block(self, samples: _Floats, first: int, count: int) -> bytes:
        output = (
            self._by_matrix(samples, first, count)
            if self._matrices
            else self._by_window(samples, first, count)
        )
        np.rint(output, out=output)
        np.minimum(output, 32767.0, out=output)
        np.maximum(output, -32768.0, out=output)
        pcm: bytes = output.astype("<i2").tobytes()
        return pcm

    def _by_matrix(self, samples: _Floats, first: int, count: int) -> _Floats:
        """Compute all phases of each window with one matrix product."""
        begin, phase = divmod(first, self._up)
        windows = np.ndarray(
            (-(-count // self._up), self._taps + self._down),
            np.float32,
            samples,
            begin * samples.itemsize,
            (self._down * samples.itemsize, samples.itemsize),
        )
        # Copied, because NumPy does not use BLAS for overlapping memory.
        output: _Floats = (windows.copy() @ self._matrices[phase]).reshape(-1)[:count]
        return output

    def _by_window(self, samples: _Floats, first: int, count: int) -> _Floats:
        """Compute each sample from its own window."""
        positions = first + self._down * np.arange(count)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._taps)
        output: _Floats = np.einsum(
            "ij,ij->i", windows[positions // self._up], self._coefficients[positions % self._up]
        )
        return output


def design_resampler(source_rate: int, target_rate: int) -> Polyphase | None:
    """Return the filter of a `Resampler`; None for the same rate."""
    divisor = math.gcd(source_rate, target_rate)
    up, down = target_rate // divisor, source_rate // divisor
    return None if up == down else Polyphase(up, down, _design(up, down))


def _matrix(coefficients: _Floats, down: int, first: int) -> _Floats:
    """Return the filter matrix that computes one sample of each phase from one window.

    `down` is the distance between output samples in phases, `first` the phase of the first one.
    """
    up, taps = coefficients.shape
    matrix = np.zeros((taps + down, up), np.float32)
    for column in range(up):
        begin, phase = divmod(first + column * down, up)
        matrix[begin : begin + taps, column] = coefficients[phase]
    return matrix


def _design(up: int, down: int) -> _Floats:
    """Return the filter, one time-reversed row per phase."""
    slower = max(up, down)
    half = ZERO_CROSSINGS * slower
    times = np.arange(-half, half + 1) / slower
    prototype = np.sinc(2 * CUTOFF * times) * np.kaiser(2 * half + 1, KAISER_BETA)
    taps = -(-len(prototype) // up)
    padded = np.zeros(taps * up)
    padded[: len(prototype)] = prototype
    phases = padded.reshape(taps, up).T
    # Unity DC gain for each phase; differences would be audible as a hum.
    phases = phases / phases.sum(axis=1, keepdims=True)
    return np.ascontiguousarray(phases[:, ::-1]).astype(np.float32)
