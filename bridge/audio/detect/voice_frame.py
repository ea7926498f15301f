"""Pitch and spectrum of 20 ms of a voice."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE

WINDOW_SAMPLES: Final = 2 * FRAME_SAMPLES
"""A pitch of 60 Hz needs two periods."""
MIN_PITCH: Final = 65.0
MAX_PITCH: Final = 420.0
"""Hz, of voices."""
BAND_EDGES: Final = (100, 300, 600, 1000, 1700, 2800, 4500, 7500)
"""Hz, of the bands."""
BANDS: Final = len(BAND_EDGES) - 1

_SIZE: Final = 1024
_WINDOW: Final = np.hanning(WINDOW_SAMPLES)
_SHORTEST: Final = round(SAMPLE_RATE / MAX_PITCH)
_LONGEST: Final = round(SAMPLE_RATE / MIN_PITCH)
_FIRST_BINS: Final = np.array([edge * _SIZE // SAMPLE_RATE for edge in BAND_EDGES])
_POWER = np.abs(np.fft.rfft(_WINDOW, _SIZE)) ** 2
_OF_WINDOW: Final = np.fft.irfft(_POWER, _SIZE)[:_LONGEST]
_COSTS: Final = 0.05 * np.log2(np.arange(_SHORTEST, _LONGEST) / _SHORTEST)
"""Penalty of a lag: of two equally good periods the shorter one is the pitch."""
_OF_WINDOW_EVEN: Final = _OF_WINDOW / _OF_WINDOW[0]


VOICED: Final = 0.6
"""Minimum periodicity of a voiced frame."""


class VoiceFrame(NamedTuple):
    """The features of a frame."""

    voicing: float
    """Periodicity, from 0 to 1."""
    pitch: float
    """In Hz; meaningful only if the frame is voiced."""
    bands: NDArray[np.float64]
    """The share of each band in the total power, in dB."""


NO_VOICE: Final = VoiceFrame(0.0, 0.0, np.zeros(BANDS))
"""A frame of silence."""


def measure(pcm: bytes) -> VoiceFrame:
    """Measure the last two frames of 16-bit samples."""
    samples = np.frombuffer(pcm, np.int16)[-WINDOW_SAMPLES:] * _WINDOW
    power = np.abs(np.fft.rfft(samples, _SIZE)) ** 2
    # The autocorrelation (Wiener-Khinchin), divided by that of the window (Boersma 1993).
    correlation = np.fft.irfft(power, _SIZE)[:_LONGEST]
    total = correlation[0]
    if total <= 0.0:
        return NO_VOICE
    even = correlation[_SHORTEST:] / (total * _OF_WINDOW_EVEN[_SHORTEST:])
    lag = int((even - _COSTS).argmax())
    bands = np.add.reduceat(power, _FIRST_BINS)[:-1] + 1.0
    shares = 10.0 * np.log10(bands / bands.sum())
    return VoiceFrame(float(min(1.0, even[lag])), SAMPLE_RATE / (lag + _SHORTEST), shares)
