"""Joining frames that were not neighbours, so that the seam is not heard.

Lengthening and shortening by a whole frame, and the sound that stands in for frames that did not
come. A frame is 640 bytes; samples are worked on as float32 in the range of 16 bits.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES

CONCEALED_FRAMES: Final = 3
"""How many frames a `Concealment` stands in for before it has faded to silence."""

Samples = NDArray[np.float32]

_FADE: Final = 80
"""Samples of a cross-fade: 5 ms."""
_RISE: Final = (np.arange(_FADE, dtype=np.float32) + np.float32(0.5)) / np.float32(_FADE)
_FALL: Final = np.float32(1.0) - _RISE

_GAINS: Final = (1.0, 0.8, 0.45, 0.0)
"""The volume of stand-in sound after each frame of it."""

_MIN_PITCH: Final = 32
"""Samples of 500 Hz."""
_MAX_PITCH: Final = FRAME_SAMPLES
"""Samples of 50 Hz."""
_TEMPLATE: Final = 160
_MIN_LIKENESS: Final = 0.5
_STEP: Final = 32


def shorten(first: bytes, second: bytes) -> bytes:
    """Make one frame of two: it begins like `first` and ends like `second`."""
    a, b = _samples(first), _samples(second)
    return _bytes(_join(a, b, _seam(a, b)))


def lengthen(last: bytes, following: bytes) -> bytes:
    """Make the frame to play between two neighbours: it begins like `following`, ends like `last`.

    So it goes on from the end of `last`, and the beginning of `following` goes on from it.
    """
    a, b = _samples(following), _samples(last)
    return _bytes(_join(a, b, _seam(a, b)))


class Concealment:
    """Sound that goes on from what was played last: its last pitch period again and again, fading.

    `history` is the last two frames played, 1280 bytes.
    """

    def __init__(self, history: bytes) -> None:
        past = _samples(history)
        lag = _pitch(past)
        self._period = past[-lag:]
        self._step = float(past[-1] - past[-lag - 1])

    def frame(self, number: int) -> bytes:
        """Return stand-in frame `number`, counted from 1; silence after `CONCEALED_FRAMES`."""
        if number > CONCEALED_FRAMES:
            return bytes(FRAME_BYTES)
        sound = self._cycle(number - 1, FRAME_SAMPLES)
        sound *= np.linspace(_GAINS[number - 1], _GAINS[number], FRAME_SAMPLES, dtype=np.float32)
        if number == 1:
            # The period's beginning continues its own past; what is left of a jump is spread.
            sound[:_STEP] += np.linspace(self._step, 0.0, _STEP, dtype=np.float32)
        return _bytes(sound)

    def blend(self, pcm: bytes, played: int) -> bytes:
        """Let a real frame begin out of the sound after `played` stand-in frames."""
        sound = _samples(pcm)
        gain = _GAINS[min(played, CONCEALED_FRAMES)]
        tail = self._cycle(played, _FADE) if gain else np.zeros(_FADE, np.float32)
        sound[:_FADE] = sound[:_FADE] * _RISE + tail * (_FALL * np.float32(gain))
        return _bytes(sound)

    def _cycle(self, frames: int, count: int) -> Samples:
        """Repeat the period from `frames` frames after its beginning on, `count` samples long."""
        index = (np.arange(count) + frames * FRAME_SAMPLES) % len(self._period)
        return self._period[index]


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, np.int16).astype(np.float32)


def _bytes(sound: Samples) -> bytes:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16).tobytes()


def _seam(a: Samples, b: Samples) -> int:
    """Find where two frames differ least over the length of a cross-fade."""
    power = np.cumsum(np.concatenate((np.zeros(1, np.float64), (a - b).astype(np.float64) ** 2)))
    return int(np.argmin(power[_FADE:] - power[:-_FADE]))


def _join(a: Samples, b: Samples, seam: int) -> Samples:
    end = seam + _FADE
    middle = a[seam:end] * _FALL + b[seam:end] * _RISE
    return np.concatenate((a[:seam], middle, b[end:]))


def _pitch(past: Samples) -> int:
    """Return how many samples ago the sound was most like now; a frame when it has no pitch."""
    template = past[-_TEMPLATE:]
    start = len(past) - _TEMPLATE - _MAX_PITCH
    stretch = past[start : len(past) - _MIN_PITCH]
    products = np.correlate(stretch, template, "valid")
    power = np.cumsum(np.concatenate((np.zeros(1, np.float32), stretch * stretch)))
    energies = np.maximum(power[_TEMPLATE:] - power[:-_TEMPLATE], 1.0)
    likeness = products / np.sqrt(energies * max(float(template.dot(template)), 1.0))
    best = int(np.argmax(likeness))
    return _MAX_PITCH - best if likeness[best] >= _MIN_LIKENESS else FRAME_SAMPLES
