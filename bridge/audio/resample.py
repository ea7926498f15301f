"""Bring sound from one sample rate to another while it comes in."""

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

CROSSINGS: Final = 32
"""Zero crossings of the filter on each side of its middle, at the lower of both rates."""
CUTOFF: Final = 0.46
"""Where the filter has lost half of the amplitude, as a share of the lower rate."""
KAISER_BETA: Final = 7.5
"""More than 75 dB of what would be folded back into the sound is taken away."""
BLOCK: Final = 512
"""So many samples are made at once: the working memory stays small however long a piece is."""
MAX_PHASES: Final = 8
"""Up to so many, as between the rates of telephony, a whole round of them is made at once."""

_Floats: TypeAlias = NDArray[np.float32]


class Resampler:
    """A polyphase filter (windowed sinc) for one stream of mono 16-bit sound.

    For every piece it gives at once all samples whose time has come, so whole frames stay whole
    frames; nothing is lost at the start. The sound comes out later by `delay_seconds`.
    """

    __slots__ = (
        "_coefficients",
        "_down",
        "_history",
        "_matrices",
        "_middle",
        "_next",
        "_spare",
        "_taps",
        "_up",
        "delay_seconds",
    )

    def __init__(self, source_rate: int, target_rate: int) -> None:
        """Make a resampler.

        Args:
            source_rate: Samples a second of what comes.
            target_rate: Samples a second of what is given.
        """
        divisor = math.gcd(source_rate, target_rate)
        self._up = target_rate // divisor
        self._down = source_rate // divisor
        same = self._up == self._down
        self._coefficients = np.ones((1, 1), np.float32) if same else _design(self._up, self._down)
        self._taps = self._coefficients.shape[1]
        few = range(self._up if max(self._up, self._down) <= MAX_PHASES else 0)
        self._matrices = [_matrix(self._coefficients, self._down, phase) for phase in few]
        """For each phase of a first sample; none where there would be too many."""
        self._spare: _Floats = np.zeros(self._taps + 2 * self._down, np.float32)
        """Behind what is known, so that the last window is whole."""
        self._history: _Floats = np.zeros(self._taps - 1, np.float32)
        self._next = 0
        """Place of the next sample to be made, in `1 / up` samples after the first that is new."""
        self._middle = 0 if same else CROSSINGS * max(self._up, self._down)
        """Place of the filter's middle, counted as `_next` is."""
        self.delay_seconds = self._middle / (self._up * source_rate)
        """How much later the sound comes out."""

    def process(self, pcm: bytes) -> bytes:
        """Take a piece of any length and give what can be made of it.

        Args:
            pcm: Whole samples, signed 16-bit little-endian.
        """
        if self._up == self._down or not pcm:
            return pcm
        return b"".join(self._blocks(np.frombuffer(pcm, "<i2").astype(np.float32)))

    def flush(self) -> bytes:
        """Give the end of the sound, which the filter still holds; a new sound may begin then."""
        rest = self.process(bytes(2 * -(-self._middle // self._up)))
        self._history = np.zeros(self._taps - 1, np.float32)
        self._next = 0
        return rest

    def align(self) -> None:
        """Leave out the filter's delay, at the start of a sound: nothing comes out later then.

        The first samples are only made when so much more sound is there; `flush` gives the last.
        """
        self._next = self._middle

    def _blocks(self, sound: _Floats) -> Iterator[bytes]:
        known = np.concatenate((self._history, sound, self._spare))
        end = len(sound) * self._up
        first = self._next
        while first < end:
            count = min(BLOCK, -(-(end - first) // self._down))
            yield self._make(known, first, count)
            first += count * self._down
        self._next = first - end
        self._history = known[len(sound) : len(known) - len(self._spare)]

    def _make(self, known: _Floats, first: int, count: int) -> bytes:
        made = (
            self._rounds(known, first, count) if self._matrices else self._each(known, first, count)
        )
        np.rint(made, out=made)
        np.minimum(made, 32767.0, out=made)
        np.maximum(made, -32768.0, out=made)
        whole: bytes = made.astype("<i2").tobytes()
        return whole

    def _rounds(self, known: _Floats, first: int, count: int) -> _Floats:
        """Make samples in rounds of all phases, each out of one window of what is known."""
        begin, phase = divmod(first, self._up)
        windows = np.ndarray(
            (-(-count // self._up), self._taps + self._down),
            np.float32,
            known,
            begin * known.itemsize,
            (self._down * known.itemsize, known.itemsize),
        )
        # Copied: the product of what overlaps in memory is not left to the fast library.
        made: _Floats = (windows.copy() @ self._matrices[phase]).reshape(-1)[:count]
        return made

    def _each(self, known: _Floats, first: int, count: int) -> _Floats:
        """Make samples one by one."""
        places = first + self._down * np.arange(count)
        windows = np.lib.stride_tricks.sliding_window_view(known, self._taps)
        made: _Floats = np.einsum(
            "ij,ij->i", windows[places // self._up], self._coefficients[places % self._up]
        )
        return made


def resample(pcm: bytes, source_rate: int, target_rate: int) -> bytes:
    """Bring a whole sound to another rate; no later and no longer than it was.

    Args:
        pcm: Whole samples, signed 16-bit little-endian.
        source_rate: Samples a second.
        target_rate: Samples a second wanted.
    """
    if source_rate == target_rate:
        return pcm
    resampler = Resampler(source_rate, target_rate)
    resampler.align()
    made = resampler.process(pcm) + resampler.flush()
    return made[: 2 * -(-len(pcm) // 2 * target_rate // source_rate)]


def _matrix(coefficients: _Floats, down: int, first: int) -> _Floats:
    """Arrange the filter for making as many samples as it has phases out of one window.

    Args:
        coefficients: One row a phase.
        down: From one sample to the next, in phases.
        first: The phase of the first sample.
    """
    up, taps = coefficients.shape
    matrix = np.zeros((taps + down, up), np.float32)
    for column in range(up):
        begin, phase = divmod(first + column * down, up)
        matrix[begin : begin + taps, column] = coefficients[phase]
    return matrix


def _design(up: int, down: int) -> _Floats:
    """Give the filter, one row a phase, each row backwards: as a window of the sound lies."""
    slower = max(up, down)
    half = CROSSINGS * slower
    moments = np.arange(-half, half + 1) / slower
    prototype = np.sinc(2 * CUTOFF * moments) * np.kaiser(2 * half + 1, KAISER_BETA)
    taps = -(-len(prototype) // up)
    padded = np.zeros(taps * up)
    padded[: len(prototype)] = prototype
    phases = padded.reshape(taps, up).T
    # Each phase by itself leaves a steady sound as loud as it was: else it would hum.
    phases = phases / phases.sum(axis=1, keepdims=True)
    return np.ascontiguousarray(phases[:, ::-1]).astype(np.float32)
