"""What every bot of the study says, and what is missing of it in what was heard."""

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

HOP_SECONDS = 0.005
FLOOR = 300.0
"""RMS of a 16-bit sound below which nothing is heard."""
PARTS = ((500.0, 0.2), (800.0, 0.6), (1100.0, 0.2))
"""The probe: a beginning, a middle and an end, each a tone of some seconds."""


def probe(rate: int) -> NDArray[np.int16]:
    """Return what every bot says."""
    parts = [
        8000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        for hertz, seconds in PARTS
    ]
    return np.concatenate(parts).astype(np.int16)


def seconds_of(hertz: float, sound: Sound, rate: int) -> float:
    """Return for how long a tone is heard: in windows of 10 ms, one each 5 ms."""
    hop = round(HOP_SECONDS * rate)
    if len(sound) < 2 * hop:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(sound, 2 * hop)[::hop]
    turn = np.exp(-2j * np.pi * hertz * np.arange(2 * hop) / rate)
    power = np.mean(windows**2, axis=1)
    share = 2 * np.abs(windows @ turn / (2 * hop)) ** 2 / np.maximum(power, 1.0)
    return float(np.sum((share > 0.5) & (power > FLOOR**2)) * HOP_SECONDS)


def lost(sound: Sound, rate: int) -> tuple[float, float]:
    """Return how much is missing of the probe's first tone, and of its last."""
    said = probe(rate).astype(float)
    first, last = (
        max(0.0, seconds_of(hertz, said, rate) - seconds_of(hertz, sound, rate))
        for hertz in (PARTS[0][0], PARTS[-1][0])
    )
    return first, last
