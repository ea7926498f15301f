"""Features that tell interruptions from backchannels, of the latest 360 ms in which a caller speaks over a bot."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.audio.detect.voice_frame import VOICED, VoiceFrame

WINDOW_FRAMES: Final = 18
"""360 ms."""
POSITION_FRAMES: Final = 15
"""Frames before it in which a pause of the bot counts."""
BLOCK_FRAMES: Final = 3
"""Contours are means of so many frames, counted back from the last one."""
LOUDEST_FRAMES: Final = 6
"""The level of an overlap is that of its loudest frames."""
PAUSE_FRAMES: Final = 4
"""Quiet frames of the bot that are a pause."""
_TOP_DB: Final = 15.0
"""Frames that are softer relative to the loudest one are not audible parts of a word."""
_DIP_DB: Final = 5.0
"""By how much the level falls between two syllables."""
_ABOVE_NOISE_DB: Final = 6.0

Vector = NDArray[np.float64]


class Usual(NamedTuple):
    """A caller's usual voice."""

    dbov: float
    pitch: float


class Onset(NamedTuple):
    """The latest `WINDOW_FRAMES` of an overlap that has begun, and of what was before it."""

    levels: Sequence[float]
    """Of the frames, in dBov."""
    voices: Sequence[VoiceFrame]
    noise: float
    """The level of the background."""
    bot: Sequence[bool]
    """Whether the bot was voiced in them and in `POSITION_FRAMES` before."""
    usual: Usual | None
    """None for a caller who has not spoken before."""
    age: int
    """Frames since the overlap began."""


def features(onset: Onset) -> Vector:
    """Return the features of an onset."""
    levels = np.maximum(onset.levels, onset.noise)
    voicing = np.array([voice.voicing for voice in onset.voices])
    octaves = np.log2([max(voice.pitch, 1.0) for voice in onset.voices])
    bands = np.array([voice.bands for voice in onset.voices])
    top = float(levels.max())
    active = levels > max(top - _TOP_DB, onset.noise + _ABOVE_NOISE_DB)
    voiced = active & (voicing > VOICED)
    loudness = float(np.sort(levels)[-LOUDEST_FRAMES:].mean())
    usual = onset.usual or Usual(loudness, 2.0 ** _mean(octaves[voiced]))
    pitches = octaves - math.log2(usual.pitch)
    bot = np.array(onset.bot)
    whole = [
        loudness - usual.dbov,
        top - onset.noise,
        active.mean(),
        active[-4:].mean(),
        active[-8:-4].mean(),
        levels[-3:].mean() - top,
        levels[-6:-3].mean() - top,
        levels[:3].mean() - top,
        levels.std(),
        _syllables(levels),
        voiced.mean(),
        _mean(voicing[active]),
        *_course(pitches[voiced]),
        _flux(bands, active),
        _longest_pause(onset.bot) >= PAUSE_FRAMES,
        bot[POSITION_FRAMES:].mean(),
        onset.age,
    ]
    heard = np.clip((levels - onset.noise) / _TOP_DB, 0.0, 1.0)
    course = [
        figure
        for end in range(len(levels), BLOCK_FRAMES - 1, -BLOCK_FRAMES)
        for figure in _block(
            slice(end - BLOCK_FRAMES, end), levels - usual.dbov, heard, voicing, pitches
        )
    ]
    spectra = bands[active] if active.any() else bands
    figures = [*whole, *course, *spectra.mean(axis=0), *spectra.std(axis=0)]
    return np.array(figures, dtype=np.float64)


def _block(
    where: slice, levels: Vector, heard: Vector, voicing: Vector, pitches: Vector
) -> tuple[float, float, float]:
    voiced = voicing[where] > VOICED
    pitch = _mean(pitches[where][voiced])
    return (
        float(np.clip(levels[where], -25, 15).mean()),
        float((voicing[where] * heard[where]).mean()),
        pitch,
    )


def _syllables(levels: Vector) -> int:
    """Count the rises after dips."""
    count, rising = 1, True
    high = low = levels[0]
    for level in levels:
        if rising:
            high = max(high, level)
            if level < high - _DIP_DB:
                rising, low = False, level
        else:
            low = min(low, level)
            if level > low + _DIP_DB:
                rising, high = True, level
                count += 1
    return count


def _course(pitches: Vector) -> tuple[float, float]:
    """Return the median of pitches relative to the usual one, and their rise; in octaves."""
    if len(pitches) < 2:
        return 0.0, 0.0
    return float(np.median(pitches)), float(pitches[-3:].mean() - pitches[:3].mean())


def _flux(bands: Vector, active: NDArray[np.bool_]) -> float:
    """Return how fast the spectrum changes, in dB a frame."""
    return _mean(np.abs(np.diff(bands, axis=0)).mean(axis=1)[active[1:] & active[:-1]])


def _longest_pause(bot: Sequence[bool]) -> int:
    longest = quiet = 0
    for voiced in bot:
        quiet = 0 if voiced else quiet + 1
        longest = max(longest, quiet)
    return longest


def _mean(values: Vector) -> float:
    return float(values.mean()) if len(values) else 0.0
