"""Noises behind voices, made from seeds."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import SAMPLE_RATE

Sound = NDArray[np.float64]


def noises() -> dict[str, Callable[[float, int], Sound]]:
    """Return them by name; each of so many seconds, from a seed, at a mean power of 1."""
    return {
        "white": white,
        "street": street,
        "wind": wind,
        "music": music,
        "typing": typing,
        "steps": steps,
    }


def white(seconds: float, seed: int) -> Sound:
    """Hiss."""
    return _even(np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE)))


def street(seconds: float, seed: int) -> Sound:
    """Pink noise that swells every few seconds, as passing cars."""
    count = round(seconds * SAMPLE_RATE)
    chance = np.random.default_rng(seed)
    spectrum = np.fft.rfft(chance.standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * seconds))
    time_ = np.arange(count) / SAMPLE_RATE
    swell = 10 ** (0.4 * np.sin(2 * np.pi * time_ / chance.uniform(3, 6) + chance.uniform(0, 6)))
    return _even(np.fft.irfft(spectrum, count) * swell)


def wind(seconds: float, seed: int) -> Sound:
    """Brown noise in gusts of half a second to two seconds."""
    count = round(seconds * SAMPLE_RATE)
    chance = np.random.default_rng(seed)
    spectrum = np.fft.rfft(chance.standard_normal(count))
    spectrum /= np.maximum(np.arange(len(spectrum)), 60 * seconds)
    gusts = chance.normal(0, 0.3, round(2 * seconds) + 1)
    swell = 10 ** np.interp(np.arange(count) / SAMPLE_RATE, np.arange(len(gusts)) / 2, gusts)
    return _even(np.fft.irfft(spectrum, count) * swell)


def music(seconds: float, seed: int) -> Sound:
    """Chords of plucked strings with overtones, a bass and a beat, 100 to the minute."""
    count = round(seconds * SAMPLE_RATE)
    chance = np.random.default_rng(seed)
    made = np.zeros(count)
    beat = round(0.6 * SAMPLE_RATE)
    length = np.arange(2 * beat) / SAMPLE_RATE
    for number, start in enumerate(range(0, count - 2 * beat, beat)):
        root = 220.0 * 2 ** (chance.choice([0, 5, 7, 9]) / 12)
        for pitch in (root / 2, root, root * 2 ** (4 / 12), root * 2 ** (7 / 12)):
            for overtone in range(1, 7):
                wave = np.sin(2 * np.pi * pitch * overtone * length) * np.exp(-3 * length)
                made[start : start + 2 * beat] += wave / overtone
        drum = chance.standard_normal(1600) * np.exp(-np.arange(1600) / 300)
        made[start : start + 1600] += (2.0 if number % 2 else 1.0) * drum
    return _even(made)


def typing(seconds: float, seed: int) -> Sound:
    """A keyboard: some strokes of 5 to 30 ms in a second."""
    return _strokes(seconds, seed, every=(0.08, 0.4), length=(0.005, 0.03), low=False)


def steps(seconds: float, seed: int) -> Sound:
    """Steps, a door: some dull strokes of 60 to 200 ms in a second."""
    return _strokes(seconds, seed, every=(0.4, 0.9), length=(0.06, 0.2), low=True)


def _strokes(
    seconds: float, seed: int, *, every: tuple[float, float], length: tuple[float, float], low: bool
) -> Sound:
    chance = np.random.default_rng(seed)
    made = 0.02 * chance.standard_normal(round(seconds * SAMPLE_RATE))
    at = 0.0
    while (at := at + chance.uniform(*every)) < seconds - 0.5:
        count = round(chance.uniform(*length) * SAMPLE_RATE)
        stroke = chance.standard_normal(count) * np.exp(-4 * np.arange(count) / count)
        if low:
            stroke = np.convolve(stroke, np.ones(40) / 6, "same")
        start = round(at * SAMPLE_RATE)
        made[start : start + count] += stroke
    return _even(made)


def _even(sound: Sound) -> Sound:
    even: Sound = sound / np.sqrt(np.mean(sound**2))
    return even
