"""Time stretching by whole frames, and concealment of missing ones.

A frame is 640 bytes; samples are processed as float32 in the range of 16 bits.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES

CONCEALED_FRAMES: Final = 3
"""Frames after which a `Concealment` has faded to silence."""

Samples = NDArray[np.float32]

_FADE: Final = 80
"""Samples of a cross-fade: 5 ms."""
_RISE: Final = (np.arange(_FADE, dtype=np.float32) + np.float32(0.5)) / np.float32(_FADE)
_FALL: Final = np.float32(1.0) - _RISE

_GAINS: Final = (1.0, 0.8, 0.45, 0.0)
"""Gain at the boundaries of the concealment frames."""

_MIN_PITCH: Final = 32
"""Period of 500 Hz in samples."""
_MAX_PITCH: Final = FRAME_SAMPLES
"""Period of 50 Hz in samples."""
_TEMPLATE: Final = 160
_MIN_CORRELATION: Final = 0.5
_STEP: Final = 32


def shorten(first: bytes, second: bytes) -> bytes:
    """Merge two frames into one that begins like `first` and ends like `second`."""
    a, b = _samples(first), _samples(second)
    return _bytes(_join(a, b, _seam(a, b)))


def lengthen(last: bytes, following: bytes) -> bytes:
    """Return a frame to insert between two: it begins like `following` and ends like `last`.

    So it continues `last`, and `following` continues it.
    """
    a, b = _samples(following), _samples(last)
    return _bytes(_join(a, b, _seam(a, b)))


class Concealment:
    """Repeats the last pitch period of the audio played last, fading out.

    `history` is the last two frames played, 1280 bytes.
    """

    def __init__(self, history: bytes) -> None:
        past = _samples(history)
        lag = _pitch(past)
        self._period = past[-lag:]
        self._step = float(past[-1] - past[-lag - 1])

    def frame(self, number: int) -> bytes:
        """Return concealment frame `number`, counted from 1; silence after `CONCEALED_FRAMES`."""
        if number > CONCEALED_FRAMES:
            return bytes(FRAME_BYTES)
        audio = self._cycle(number - 1, FRAME_SAMPLES)
        audio *= np.linspace(_GAINS[number - 1], _GAINS[number], FRAME_SAMPLES, dtype=np.float32)
        if number == 1:
            # Spread the discontinuity between the last sample and the start of the period.
            audio[:_STEP] += np.linspace(self._step, 0.0, _STEP, dtype=np.float32)
        return _bytes(audio)

    def blend(self, pcm: bytes, played: int) -> bytes:
        """Cross-fade from `played` concealment frames into a received frame."""
        audio = _samples(pcm)
        gain = _GAINS[min(played, CONCEALED_FRAMES)]
        tail = self._cycle(played, _FADE) if gain else np.zeros(_FADE, np.float32)
        audio[:_FADE] = audio[:_FADE] * _RISE + tail * (_FALL * np.float32(gain))
        return _bytes(audio)

    def _cycle(self, frames: int, count: int) -> Samples:
        """Return `count` samples of the repeated period, starting `frames` frames in."""
        index = (np.arange(count) + frames * FRAME_SAMPLES) % len(self._period)
        return self._period[index]


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, np.int16).astype(np.float32)


def _bytes(audio: Samples) -> bytes:
    return np.clip(np.rint(audio), -32768, 32767).astype(np.int16).tobytes()


def _seam(a: Samples, b: Samples) -> int:
    """Return where two frames differ least over the length of a cross-fade."""
    power = np.cumsum(np.concatenate((np.zeros(1, np.float64), (a - b).astype(np.float64) ** 2)))
    return int(np.argmin(power[_FADE:] - power[:-_FADE]))


def _join(a: Samples, b: Samples, seam: int) -> Samples:
    end = seam + _FADE
    middle = a[seam:end] * _FALL + b[seam:end] * _RISE
    return np.concatenate((a[:seam], middle, b[end:]))


def _pitch(past: Samples) -> int:
    """Return the pitch period in samples; a whole frame if there is none."""
    template = past[-_TEMPLATE:]
    start = len(past) - _TEMPLATE - _MAX_PITCH
    stretch = past[start : len(past) - _MIN_PITCH]
    products = np.correlate(stretch, template, "valid")
    power = np.cumsum(np.concatenate((np.zeros(1, np.float32), stretch * stretch)))
    energies = np.maximum(power[_TEMPLATE:] - power[:-_TEMPLATE], 1.0)
    correlation = products / np.sqrt(energies * max(float(template.dot(template)), 1.0))
    best = int(np.argmax(correlation))
    return _MAX_PITCH - best if correlation[best] >= _MIN_CORRELATION else FRAME_SAMPLES
