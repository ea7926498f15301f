"""Concealment of lost packets for codecs that have none of their own.

The last pitch periods are repeated and faded out within 60 ms: one period at first, then two, then
three, because the same one over and over buzzes (in the spirit of ITU-T G.711 Appendix I). Unlike
there, received audio is not delayed; its last sample is bridged instead.
"""

from collections import deque
from typing import Final

import numpy as np

from bridge.audio.codec.halfband import Samples

FADE_SECONDS: Final = 0.06
"""Duration of the fade to silence."""

_PAST_SECONDS: Final = 0.05
_PIECES: Final = 8
"""Received packets kept: enough history with packets of 10 ms."""
_MIN_PITCH_SECONDS: Final = 0.0025
_MAX_PITCH_SECONDS: Final = 0.015
_TEMPLATE_SECONDS: Final = 0.02
_STEADY_SECONDS: Final = 0.01
"""How long the gain stays at 1, and a number of periods is used."""
_BLEND_SECONDS: Final = 0.004
"""Of the cross-fade into received audio; as much is added for each 10 ms lost."""
_MAX_BLEND_SECONDS: Final = 0.01
_SEAM: Final = 0.25
"""Part of a period that is cross-faded where a repetition begins."""


class LossConcealment:
    """Conceals the losses of one mono stream."""

    __slots__ = ("_lost", "_past", "_rate", "_substitute")

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._past: deque[Samples] = deque(maxlen=_PIECES)
        self._substitute: Samples | None = None
        """The concealment that follows the last received audio."""
        self._lost = 0
        """Samples of it that have been used."""

    def reset(self) -> None:
        """Forget the past: another stream begins."""
        self._past.clear()
        self._substitute = None

    @property
    def concealing(self) -> bool:
        """Whether audio was lost after the last that was received."""
        return self._substitute is not None

    def receive(self, samples: Samples) -> Samples:
        """Return received audio, whole samples, faded in after a loss; must not be changed by the caller."""
        if self._substitute is not None:
            samples = self._blend(self._substitute, samples)
            self._substitute = None
        self._past.append(samples)
        return samples

    def conceal(self, count: int) -> Samples:
        """Return `count` whole samples in place of lost audio."""
        if self._substitute is None:
            self._substitute, self._lost = self._extrapolate(), 0
        piece = self._take(self._substitute, self._lost, count)
        self._lost += count
        return piece

    def _blend(self, substitute: Samples, samples: Samples) -> Samples:
        lost = self._lost / self._rate
        seconds = min(_BLEND_SECONDS * (1 + lost / 0.01), _MAX_BLEND_SECONDS)
        count = min(len(samples), round(seconds * self._rate))
        rise = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(count)
        tail = self._take(substitute, self._lost, count)
        blended = samples.copy()
        np.rint(samples[:count] * rise + tail * (np.float32(1) - rise), out=blended[:count])
        return blended

    @staticmethod
    def _take(substitute: Samples, start: int, count: int) -> Samples:
        piece = substitute[start : start + count]
        if len(piece) == count:
            return piece
        return np.concatenate((piece, np.zeros(count - len(piece), np.float32)))

    def _extrapolate(self) -> Samples:
        """Return what follows the past: `FADE_SECONDS` of audio."""
        wanted = round(FADE_SECONDS * self._rate)
        past = np.concatenate((np.zeros(1, np.float32), *self._past))
        past = past[-round(_PAST_SECONDS * self._rate) :]
        longest = round(_MAX_PITCH_SECONDS * self._rate)
        template = round(_TEMPLATE_SECONDS * self._rate)
        if len(past) < template + longest or not past.any():
            return np.zeros(wanted, np.float32)
        period = _pitch(past, round(_MIN_PITCH_SECONDS * self._rate), longest, template)
        steady = round(_STEADY_SECONDS * self._rate)
        audio = _repeat(past, period, 1, wanted)
        for periods in (2, 3):
            begin = (periods - 1) * steady
            if (periods + _SEAM) * period > len(past):
                break
            more = _repeat(past, period, periods, wanted)
            seam = min(period, steady)
            rise = np.linspace(0, 1, seam, dtype=np.float32)
            end = begin + seam
            audio[begin:end] += (more[begin:end] - audio[begin:end]) * rise
            audio[end:] = more[end:]
        gain = np.ones(wanted, np.float32)
        gain[steady:] = np.linspace(1, 0, wanted - steady, dtype=np.float32)
        audio *= gain
        # The last sample received leads into the first one repeated.
        step = float(past[-1] - past[-period - 1])
        lead = max(2, round(_SEAM * period))
        audio[:lead] += np.linspace(step, 0, lead, dtype=np.float32)
        return np.rint(audio, out=audio)


def _pitch(past: Samples, shortest: int, longest: int, template: int) -> int:
    """Return the lag at which the past resembles its end most, in samples."""
    newest = past[-template:]
    stretch = past[-template - longest : -shortest]
    products = np.correlate(stretch, newest)
    power = np.cumsum(np.concatenate((np.zeros(1), stretch.astype(np.float64) ** 2)))
    energies = np.maximum(power[template:] - power[:-template], 1.0)
    return longest - int(np.argmax(products / np.sqrt(energies)))


def _repeat(past: Samples, period: int, periods: int, count: int) -> Samples:
    """Return the last periods over and over, beginning with the newest one's phase."""
    length = period * periods
    cycle = past[-length:].copy()
    # Where the cycle begins again, its end leads to what came before its beginning.
    seam = max(1, round(_SEAM * period))
    rise = (np.arange(seam, dtype=np.float32) + np.float32(0.5)) / np.float32(seam)
    before = past[-length - seam : -length]
    if len(before) == seam:
        cycle[-seam:] += (before - cycle[-seam:]) * rise
    return np.resize(cycle, count)
