"""Comparing sounds: how late, how loud, how alike."""

import wave
from pathlib import Path

import numpy as np
from scipy.signal import correlate, resample_poly

from tests.browser.chromium import RATE, Sound

WINDOW = RATE // 50
SILENCE = -100.0


def read(path: Path) -> Sound:
    """Read a mono 16-bit WAV, at whatever rate, as 16 kHz."""
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    sound = samples.astype(np.float32) / 32768
    if rate != RATE:
        sound = resample_poly(sound, RATE, rate)
    return sound.astype(np.float32)


def level(sound: Sound) -> float:
    """Root mean square in dB of full scale."""
    power = float(np.mean(np.square(sound, dtype=np.float64))) if len(sound) else 0.0
    return float(10 * np.log10(power)) if power > 1e-10 else SILENCE


def lag(reference: Sound, sound: Sound) -> tuple[int, float]:
    """By how many samples `sound` is later than `reference`, and how alike they then are (0 to 1)."""
    product = correlate(sound, reference, mode="full", method="fft")
    best = int(np.argmax(np.abs(product)))
    energy = np.sqrt(np.sum(np.square(sound)) * np.sum(np.square(reference)))
    return best - (len(reference) - 1), float(abs(product[best]) / max(energy, 1e-12))


def find(looped: Sound, sound: Sound) -> Sound:
    """Give the part of an endlessly repeated recording that `sound` is a copy of."""
    times = len(sound) // len(looped) + 2
    endless = np.tile(looped, times)
    start, _ = lag(sound, endless)
    return endless[max(0, start) :][: len(sound)]


def longest_gap(heard: Sound, reference: Sound, *, quiet: float = -55.0) -> float:
    """Seconds of the longest stretch where the reference speaks and `heard` is silent."""
    longest = now = 0
    for at in range(0, min(len(heard), len(reference)) - WINDOW, WINDOW):
        speaks = level(reference[at : at + WINDOW]) > -40.0
        missing = level(heard[at : at + WINDOW]) < quiet
        now = now + 1 if speaks and missing else 0
        longest = max(longest, now)
    return longest * WINDOW / RATE
