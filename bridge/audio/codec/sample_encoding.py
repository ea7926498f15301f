"""Which sample encoding raw audio is in: in the right one neighbouring samples are alike, in any other it is noise."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bridge.audio.codec.g711 import MULAW

MIN_BYTES: Final = 3200
"""Less audio than this, 0.1 s at 16 kHz and 16 bits, says nothing."""

_MIN_POWER: Final = 100.0**2
"""Of 16-bit samples; quieter audio may be noise in any encoding."""
_SMOOTH: Final = 0.5
_CLEARLY: Final = 0.6
"""The best reading has at most this share of the next one's roughness."""
_ONE_BYTE: Final = 256
_MAX_FLOAT: Final = 4.0
"""Float samples beyond this are no audio."""


READINGS: Final = ("s16le", "s16be", "mulaw", "f32le")
Roughness: TypeAlias = Callable[[bytes], Sequence[float]]
"""Measures audio read in each of `READINGS`: the power of the differences by that of uncorrelated samples, 1 for white
noise, near 0 for speech."""


def measure_roughness(data: bytes) -> Sequence[float]:
    """Measure whole samples of each size (`Roughness`)."""
    return [_roughness(samples) for samples in _readings(data)]


def guess_encoding(data: bytes, measure: Roughness = measure_roughness) -> str | None:
    """Return one of `READINGS`; None if the audio is too short, quiet or noisy to tell.

    Args:
        data: Whole samples of mono audio at any rate.
        measure: What measures it.
    """
    if len(data) < MIN_BYTES:
        return None
    found = dict(zip(READINGS, measure(data[: len(data) // 4 * 4]), strict=True))
    best, second = sorted(found, key=lambda name: found[name])[:2]
    clear = found[best] < _SMOOTH and found[best] < _CLEARLY * found[second]
    if clear and best == "s16be" and _is_quiet(data):
        return None
    return best if clear else None


def _is_quiet(data: bytes) -> bool:
    """Whether all samples fit into one byte: byte-swapped, they would be the same sound, only louder."""
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
    return bool(samples.min() >= -_ONE_BYTE and samples.max() < _ONE_BYTE)


def _readings(data: bytes) -> list[NDArray[np.float64]]:
    with np.errstate(invalid="ignore"):
        floats = np.frombuffer(data, "<f4").astype(np.float64)
    sane = bool(np.isfinite(floats).all()) and float(np.abs(floats).max()) <= _MAX_FLOAT
    return [
        np.frombuffer(data, "<i2").astype(np.float64),
        np.frombuffer(data, ">i2").astype(np.float64),
        np.frombuffer(MULAW.decode(data), "<i2").astype(np.float64),
        floats * 32767.0 if sane else np.zeros(2),
    ]


def _roughness(samples: NDArray[np.float64]) -> float:
    power = float(samples.var())
    if power < _MIN_POWER:
        return 1.0
    return float(np.square(np.diff(samples)).mean()) / (2.0 * power)
