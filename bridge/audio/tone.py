"""Tones, as audio."""

import numpy as np

from bridge.audio.frame import SAMPLE_RATE

FADE_SAMPLES = SAMPLE_RATE // 100
"""10 ms, so that a tone does not click."""


def tone(hertz: float, seconds: float, *, peak: int = 8000) -> bytes:
    """Return a sine with soft edges: 16-bit samples at 16 kHz."""
    count = round(seconds * SAMPLE_RATE)
    places = np.arange(count)
    fade = np.minimum(1.0, np.minimum(places, count - places) / FADE_SAMPLES)
    wave = peak * fade * np.sin(2 * np.pi * hertz * places / SAMPLE_RATE)
    return wave.round().astype("<i2").tobytes()
