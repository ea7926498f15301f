"""Tones that replace speech."""

from typing import Final

import numpy as np

from bridge.audio.frame import SAMPLE_RATE

_AMPLITUDE: Final = 6000.0
_EDGE_SECONDS: Final = 0.01
TONE: Final = (440.0, 330.0)


def tone(frequencies: tuple[float, ...] = TONE, *, each: float = 0.2, volume: float = 1.0) -> bytes:
    """Return consecutive tones of `each` seconds as 16 kHz samples; `volume` is 0 to 1."""
    time = np.arange(round(each * SAMPLE_RATE)) / SAMPLE_RATE
    # Fades prevent clicks.
    edges = np.minimum(1.0, np.minimum(time, time[::-1]) / _EDGE_SECONDS)
    tones = [
        volume * _AMPLITUDE * edges * np.sin(2 * np.pi * pitch * time) for pitch in frequencies
    ]
    return b"".join(sound.astype("<i2").tobytes() for sound in tones)
