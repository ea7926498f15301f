"""Comparing sounds: how late, how loud, how alike."""

import wave
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from scipy.signal import correlate, resample_poly

from tests.browser.stage.chromium import RATE, Sound

VoiceDetector: TypeAlias = Callable[[Sound, Sound], float]

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


def lag(reference: Sound, sound: Sound) -> int:
    """By how many samples `sound` is later than `reference`."""
    product = correlate(sound, reference, mode="full", method="fft")
    return int(np.argmax(np.abs(product))) - (len(reference) - 1)


def delays(reference: Sound, sound: Sound) -> list[float]:
    """By how many seconds `sound` is later, for each second in which the reference speaks."""
    seconds = [
        (reference[at : at + RATE], sound[at : at + 2 * RATE])
        for at in range(0, len(reference) - 2 * RATE, RATE)
    ]
    return [lag(said, heard) / RATE for said, heard in seconds if level(said) > -40]


def scores(judge: VoiceDetector, looped: Sound, sound: Sound, *, seconds: float) -> list[float]:
    """Compare a sound, piece by piece, with the place in an endlessly repeated recording it is from.

    By pieces because a jitter buffer stretches and shortens what it plays by some milliseconds,
    which nobody hears but which shifts all that follows.

    Args:
        judge: Takes the original and the copy, and says how good the copy is.
        looped: The recording.
        sound: What was heard of it; pieces that are mostly pauses are left out.
        seconds: Length of a piece.
    """
    endless = np.tile(looped, 3)
    length = int(seconds * RATE)
    judged = []
    for at in range(0, len(sound) - length + 1, length):
        piece = sound[at : at + length]
        talking = [level(piece[i : i + WINDOW]) > -45 for i in range(0, length, WINDOW)]
        if sum(talking) < len(talking) / 2:
            continue
        start = max(0, lag(piece, endless)) % len(looped)
        judged.append(float(judge(endless[start : start + length], piece)))
    return judged


def longest_gap(heard: Sound, reference: Sound, *, quiet: float = -55.0) -> float:
    """Seconds of the longest stretch where the reference speaks and `heard` is silent."""
    longest = now = 0
    for at in range(0, min(len(heard), len(reference)) - WINDOW, WINDOW):
        speaks = level(reference[at : at + WINDOW]) > -40.0
        missing = level(heard[at : at + WINDOW]) < quiet
        now = now + 1 if speaks and missing else 0
        longest = max(longest, now)
    return longest * WINDOW / RATE
