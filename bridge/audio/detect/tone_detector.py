"""Steady tones, such as the beep of an answering machine, in 16 kHz audio."""

import math
from typing import Final, NamedTuple

import numpy as np

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE

MIN_HERTZ: Final = 350.0
MAX_HERTZ: Final = 3000.0
PURITY: Final = 0.7
"""Share of a frame's power that is at one frequency; a tone that is clipped to a square has 0.8 there."""
MAX_GAP_FRAMES: Final = 2
"""Frames within a tone that may be something else: lost packets."""
MIN_DBOV: Final = -50.0
_HERTZ: Final = 8.0
_DECIBELS: Final = 3.0
"""By so much a frame may differ from the mean of its tone. A sung vowel differs by more."""
_BIN: Final = SAMPLE_RATE / FRAME_SAMPLES
_LOBE: Final = 2
"""Bins on each side of a peak that a Hann window spreads it over."""
_WINDOW: Final = np.hanning(FRAME_SAMPLES).astype(np.float32) / np.float32(32768)
_FIRST: Final = round(MIN_HERTZ / _BIN)
_LAST: Final = round(MAX_HERTZ / _BIN)
_POWER_OF_ONE: Final = float(np.square(_WINDOW * 32768).sum()) * FRAME_SAMPLES / 2
"""Of the spectrum of a full-scale square wave."""


class Tone(NamedTuple):
    """20 ms that are one tone."""

    hertz: float
    dbov: float


def tone_in(pcm: bytes) -> Tone | None:
    """Return the tone that 20 ms are; None of anything else."""
    samples = np.frombuffer(pcm, "<i2") * _WINDOW
    power = np.square(np.abs(np.fft.rfft(samples)))
    total = float(power[1:].sum())
    if total < _POWER_OF_ONE * 10 ** (MIN_DBOV / 10):
        return None
    peak = _FIRST + int(power[_FIRST : _LAST + 1].argmax())
    if float(power[peak - _LOBE : peak + _LOBE + 1].sum()) < PURITY * total:
        return None
    below, at, above = np.log(power[peak - 1 : peak + 2] + 1e-12).tolist()
    bend = below - 2 * at + above
    hertz = (peak + (0.5 * (below - above) / bend if bend else 0.0)) * _BIN
    return Tone(hertz, 10 * math.log10(total / _POWER_OF_ONE))


class ToneDetector:
    """Finds tones of one source and measures their duration."""

    def __init__(self) -> None:
        self._mean = Tone(0.0, 0.0)
        self._frames = 0
        """Of the current tone, gaps included."""
        self._gap = 0

    @property
    def seconds(self) -> float:
        """How long the current tone has lasted; 0 if there is none."""
        return (self._frames - self._gap) * FRAME_SECONDS

    def push(self, pcm: bytes) -> float:
        """Process 20 ms; return the duration of a tone that has ended, else 0."""
        tone = tone_in(pcm)
        if tone is not None and self._continues(tone):
            self._frames += 1
            self._gap = 0
            hertz, dbov = self._mean
            share = 1 / min(self._frames, 10)
            self._mean = Tone(
                hertz + (tone.hertz - hertz) * share, dbov + (tone.dbov - dbov) * share
            )
            return 0.0
        if self._frames > 1 and self._gap < MAX_GAP_FRAMES:
            self._frames += 1
            self._gap += 1
            return 0.0
        ended = self.seconds
        self._frames = self._gap = 0
        if tone is not None:
            self._mean, self._frames = tone, 1
        return ended

    def _continues(self, tone: Tone) -> bool:
        return (
            self._frames > 0
            and abs(tone.hertz - self._mean.hertz) <= _HERTZ
            and abs(tone.dbov - self._mean.dbov) <= _DECIBELS
        )
