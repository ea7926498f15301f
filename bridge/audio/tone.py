"""Tones: a sine, and the ring-back tone that a caller hears (ITU-T E.180 Supplement 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

import numpy as np

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE

FADE_SAMPLES: Final = SAMPLE_RATE // 100
"""10 ms, so that a tone does not click."""
PEAK: Final = 3000
"""Of all frequencies of a ring-back tone together, -21 dBFS."""


def tone(hertz: float, seconds: float, *, peak: int = 8000) -> bytes:
    """Return a sine with soft edges: 16-bit samples at 16 kHz."""
    count = round(seconds * SAMPLE_RATE)
    places = np.arange(count)
    fade = np.minimum(1.0, np.minimum(places, count - places) / FADE_SAMPLES)
    wave = peak * fade * np.sin(2 * np.pi * hertz * places / SAMPLE_RATE)
    return wave.round().astype("<i2").tobytes()


@dataclass(frozen=True, slots=True)
class RingTone:
    """The frequencies of a tone, and how long it sounds and is silent in turn."""

    hertz: tuple[int, ...]
    cadence: tuple[float, ...]
    """Seconds, beginning with the tone."""


EUROPE: Final = RingTone((425,), (1.0, 4.0))
NORTH_AMERICA: Final = RingTone((440, 480), (2.0, 4.0))
UNITED_KINGDOM: Final = RingTone((400, 450), (0.4, 0.2, 0.4, 2.0))
TONES: Final[Mapping[str, RingTone]] = MappingProxyType(
    {"europe": EUROPE, "north_america": NORTH_AMERICA, "united_kingdom": UNITED_KINGDOM}
)


class Ringback:
    """One caller's tone, from the beginning of its cadence on; a `call.bus.ends.PulledSource`."""

    def __init__(self, tone: RingTone = EUROPE) -> None:
        self._frames = _frames(tone)
        self._next = 0

    def pull(self) -> bytes:
        """Return the next 20 ms."""
        frame = self._frames[self._next]
        self._next = (self._next + 1) % len(self._frames)
        return frame


@cache
def _frames(tone: RingTone) -> tuple[bytes, ...]:
    """Return one cadence, in frames."""
    parts = [
        _sound(tone.hertz, seconds) if number % 2 == 0 else np.zeros(_samples(seconds), "<i2")
        for number, seconds in enumerate(tone.cadence)
    ]
    pcm = np.concatenate(parts).tobytes()
    return tuple(pcm[start : start + FRAME_BYTES] for start in range(0, len(pcm), FRAME_BYTES))


def _sound(hertz: tuple[int, ...], seconds: float) -> np.ndarray:
    places = np.arange(_samples(seconds))
    waves = sum(np.sin(2 * np.pi * each * places / SAMPLE_RATE) for each in hertz)
    fade = np.minimum(1.0, np.minimum(places, len(places) - 1 - places) / FADE_SAMPLES)
    return (PEAK / len(hertz) * waves * fade).round().astype("<i2")


def _samples(seconds: float) -> int:
    """Return a number of samples that is whole frames."""
    return round(seconds / FRAME_SECONDS) * FRAME_SAMPLES
