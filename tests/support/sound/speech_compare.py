"""Compare what was heard with what was said: delay, level, PESQ, STOI; and sounds made for it.

All signals are mono int16 at 16 kHz.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pystoi import stoi
from scipy.signal import chirp as sweep
from scipy.signal import correlate

Pcm: TypeAlias = NDArray[np.int16]
RATE = 16_000
_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Where in `heard` the beginning of `said` lies."""

    lag: int
    """Samples; negative when the beginning was not heard."""

    correlation: float
    """Of the overlap, 0 to 1: below about 0.5 it is another sound."""

    @property
    def seconds(self) -> float:
        """The lag in seconds."""
        return self.lag / RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is left of the speech."""

    alignment: Alignment
    level_db: float
    """Level heard minus level said."""
    pesq: float
    """P.862.2 wide-band MOS-LQO, 1.0 to 4.64."""
    stoi: float
    """Intelligibility, 0 to 1."""


def align(said: Pcm, heard: Pcm) -> Alignment:
    """Find `said` in `heard` by cross-correlation."""
    one, other = said.astype(np.float64), heard.astype(np.float64)
    products = correlate(other, one, mode="full", method="fft")
    lag = int(np.argmax(np.abs(products))) - (len(one) - 1)
    left, right = overlap(said, heard, lag)
    norm = float(np.linalg.norm(left) * np.linalg.norm(right))
    found = float(np.dot(left, right)) / norm if norm else 0.0
    return Alignment(lag=lag, correlation=abs(found))


def overlap(said: Pcm, heard: Pcm, lag: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut both to the part they share, given where `said` begins in `heard`."""
    first_said, first_heard = max(0, -lag), max(0, lag)
    count = max(0, min(len(said) - first_said, len(heard) - first_heard))
    return (
        said[first_said : first_said + count].astype(np.float64),
        heard[first_heard : first_heard + count].astype(np.float64),
    )


def compare(said: Pcm, heard: Pcm) -> Comparison:
    """Align and compare; at least a second of speech must be shared.

    Tests that use this are marked `pesq`: it has to be compiled, so it may be missing.

    Raises:
        ValueError: less than a second is shared.
    """
    from pesq import pesq

    alignment = align(said, heard)
    left, right = overlap(said, heard, alignment.lag)
    if len(left) < RATE:
        raise ValueError(f"only {len(left) / RATE:.2f} s are shared")
    return Comparison(
        alignment=alignment,
        level_db=level_db(right) - level_db(left),
        pesq=float(pesq(RATE, left / _FULL_SCALE, right / _FULL_SCALE, "wb")),
        stoi=float(stoi(left, right, RATE, extended=False)),
    )


def clearness(said: Pcm, heard: Pcm) -> float:
    """Return the STOI of what was heard, 0 to 1; at least a second of speech must be shared.

    Raises:
        ValueError: less than a second is shared.
    """
    left, right = overlap(said, heard, align(said, heard).lag)
    if len(left) < RATE:
        raise ValueError(f"only {len(left) / RATE:.2f} s are shared")
    return float(stoi(left, right, RATE, extended=False))


def likeness(
    said: Pcm, heard: Pcm, *, piece_seconds: float = 0.1, reach_seconds: float = 0.8
) -> float:
    """Compare piece by piece.

    `align` takes what a playout buffer does for another sound: it lengthens and shortens by
    frames. Here each piece may lie elsewhere within `reach_seconds` of the common lag; and half of
    them may be spoilt, as they are where the machine stood still for a moment. What is wrong all
    along (lost or swapped messages, a wrong format) spoils most of them.

    Returns:
        The median correlation of the pieces above -45 dB, -1 to 1; 0 when there is none.
    """
    lag = align(said, heard).lag
    size, reach = round(piece_seconds * RATE), round(reach_seconds * RATE)
    padded = np.pad(heard, 2 * reach + size)
    found = []
    for begin in range(0, len(said) - size + 1, size):
        piece = said[begin : begin + size]
        place = max(0, begin + lag + reach + size)
        window = padded[place : place + 2 * reach + size]
        if level_db(piece) > -45 and len(window) >= size:
            found.append(_best_correlation(piece, window))
    return float(np.median(found)) if found else 0.0


def level_db(sound: NDArray[np.float64] | Pcm) -> float:
    """Measure the level in dB below full scale; digital silence is -120."""
    power = float(np.mean(np.square(sound.astype(np.float64)))) if len(sound) else 0.0
    return max(-120.0, 10 * math.log10(power / _FULL_SCALE**2)) if power else -120.0


def tone(seconds: float, hertz: float = 440.0, *, level: float = 0.3) -> Pcm:
    """Make a sine; `level` is its peak between 0 and 1."""
    moments = np.arange(round(seconds * RATE)) / RATE
    return _to_pcm(level * np.sin(2 * np.pi * hertz * moments))


def chirp(seconds: float = 0.02, *, level: float = 0.5) -> Pcm:
    """Make a sweep from 500 to 4000 Hz: the sharpest mark that a codec keeps."""
    moments = np.arange(round(seconds * RATE)) / RATE
    wave = sweep(moments, f0=500.0, f1=4000.0, t1=seconds) * np.hanning(len(moments))
    return _to_pcm(level * wave)


def chirps(count: int, *, every: float = 1.0, first: float = 0.5) -> Pcm:
    """Make silence with a chirp at `first`, `first + every` … seconds."""
    mark = chirp()
    sound = np.zeros(round((first + count * every) * RATE), dtype=np.int16)
    for number in range(count):
        begin = round((first + number * every) * RATE)
        sound[begin : begin + len(mark)] = mark
    return sound


def chirp_delays(heard: Pcm, count: int, *, every: float = 1.0, first: float = 0.5) -> list[float]:
    """Find each chirp of `chirps` in what was heard.

    Returns:
        Seconds by which each chirp is late, in order; NaN for one that was not heard. A chirp is
        looked for from its own place until the next one's.
    """
    mark = chirp()
    return [
        _find(mark, heard, round((first + number * every) * RATE), round(every * RATE))
        for number in range(count)
    ]


def onsets(
    sound: Pcm, *, threshold_db: float = -35.0, quiet_seconds: float = 0.1, step: float = 0.0025
) -> list[float]:
    """Find where sound begins after quiet.

    Returns:
        Seconds from the beginning, to `step`, of every block above the threshold before which all
        was below it for `quiet_seconds`. Sound at the very beginning counts.
    """
    block = round(step * RATE)
    blocks = sound[: len(sound) // block * block].astype(np.float64).reshape(-1, block)
    power = np.mean(np.square(blocks), axis=1) / _FULL_SCALE**2
    loud = power > 10 ** (threshold_db / 10)
    needed = round(quiet_seconds / step)
    found, quiet = [], needed
    for index, is_loud in enumerate(loud):
        if is_loud and quiet >= needed:
            found.append(index * block / RATE)
        quiet = 0 if is_loud else quiet + 1
    return found


def longest_gap(sound: Pcm, *, threshold_db: float = -60.0, step: float = 0.005) -> float:
    """Measure the longest stretch of near silence, in seconds."""
    block = round(step * RATE)
    blocks = sound[: len(sound) // block * block].astype(np.float64).reshape(-1, block)
    quiet = np.mean(np.square(blocks), axis=1) / _FULL_SCALE**2 < 10 ** (threshold_db / 10)
    longest = run = 0
    for is_quiet in quiet:
        run = run + 1 if is_quiet else 0
        longest = max(longest, run)
    return longest * step


def _find(mark: Pcm, heard: Pcm, begin: int, reach: int) -> float:
    window = heard[begin : begin + reach].astype(np.float64)
    if len(window) < len(mark):
        return float("nan")
    products = np.abs(correlate(window, mark.astype(np.float64), mode="valid", method="fft"))
    peak = int(np.argmax(products))
    piece = window[peak : peak + len(mark)]
    norm = float(np.linalg.norm(piece) * np.linalg.norm(mark.astype(np.float64)))
    if not norm or products[peak] / norm < 0.5:
        return float("nan")
    return (peak + _parabola(products, peak)) / RATE


def _best_correlation(piece: Pcm, window: Pcm) -> float:
    """Return the best correlation of the piece with any part of the window."""
    one, other = piece.astype(np.float64), window.astype(np.float64)
    products = correlate(other, one, mode="valid", method="fft")
    sums = np.concatenate([[0.0], np.cumsum(np.square(other))])
    norms = np.sqrt(np.maximum(sums[len(one) :] - sums[: -len(one)], 1.0))
    return float(np.max(products / norms) / np.linalg.norm(one))


def _parabola(values: NDArray[np.float64], peak: int) -> float:
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, at, after = (float(value) for value in values[peak - 1 : peak + 2])
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend else 0.0


def _to_pcm(wave: NDArray[np.float64]) -> Pcm:
    return np.clip(np.rint(wave * 32767), -32768, 32767).astype(np.int16)
