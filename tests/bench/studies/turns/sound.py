"""What the study of turns says, and where it finds that voices begin and end."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from bridge.audio.frame import SAMPLE_RATE
from tests.support.servers.stream_customer import RATE

HOP = 80
"""Samples of 5 ms."""
MARGIN_DB = 10.0
ANSWER_SECONDS = 1.0

Sound = NDArray[np.float64]


def extent(sound: Sound, noise_rms: float) -> tuple[float, float]:
    """Find where a voice begins and ends, in seconds: the first and the last 5 ms well above the noise."""
    loud = _loud_parts(sound, noise_rms)
    return float(loud[0]) * HOP / SAMPLE_RATE, float(loud[-1] + 1) * HOP / SAMPLE_RATE


def first_voice(ears: Iterable[tuple[float, bytes]], after: float) -> float:
    """Return when the first voice after a time was heard."""
    for now, pcm in ears:
        samples = np.frombuffer(pcm, "<i2").astype(float)
        if now >= after and np.sqrt(np.mean(samples**2)) > 30 and np.abs(samples).max() > 200:
            loud = _loud_parts(samples, 0.0)
            if len(loud):
                return now + float(loud[0]) * HOP / SAMPLE_RATE
    raise LookupError("nothing was heard")


def _loud_parts(sound: Sound, noise_rms: float) -> NDArray[np.intp]:
    """Return which parts of 5 ms are well above the noise."""
    parts = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    floor = max(noise_rms * 10 ** (MARGIN_DB / 20), 60.0)
    return np.flatnonzero(np.sqrt(np.mean(parts**2, axis=1)) > floor)


def beginning(voice: Sound) -> Sound:
    """Return an answer's length of a voice, faded out: what is cut off clicks, now or when the stream goes on."""
    cut = voice[: round(ANSWER_SECONDS * SAMPLE_RATE)].copy()
    cut[-SAMPLE_RATE // 10 :] *= np.linspace(1, 0, SAMPLE_RATE // 10) ** 2
    return cut


def at_rate(sound: Sound) -> bytes:
    """Return a sound as a stream's server sends it."""
    places = np.arange(round(len(sound) * RATE / SAMPLE_RATE)) * SAMPLE_RATE / RATE
    return np.interp(places, np.arange(len(sound)), sound).astype("<i2").tobytes()
