"""What tells an interruption from a backchannel: figures of the first third of a second in which a caller speaks over a bot."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.audio.detect.voice_frame import VOICED, VoiceFrame

DECISION_FRAMES: Final = 18
"""360 ms, after which the features are taken: with what it takes to hear of it, an interruption stops the bot within 400 ms."""
POSITION_FRAMES: Final = 15
"""Frames before it in which a pause of the bot is looked for."""
BLOCK_FRAMES: Final = 3
"""The course of a figure is that of its means over so many frames, from the last one back."""
LOUDEST_FRAMES: Final = 6
"""Whose level is that of an overlap."""
PAUSE_FRAMES: Final = 4
"""Quiet frames of the bot that are a pause."""
_TOP_DB: Final = 15.0
"""Frames not further below the loudest one are heard of a word."""
_DIP_DB: Final = 5.0
"""By how much the level falls between two syllables."""
_ABOVE_NOISE_DB: Final = 6.0
_SILENT_DB: Final = -12.0
"""What stands for the spectrum of a silent frame."""

Vector = NDArray[np.float64]


class Usual(NamedTuple):
    """A caller's usual voice."""

    dbov: float
    pitch: float


class Onset(NamedTuple):
    """The beginning of an overlap."""

    levels: Sequence[float]
    """Of its frames, in dBov."""
    voices: Sequence[VoiceFrame]
    noise: float
    """The level of the background."""
    bot: Sequence[bool]
    """Whether the bot was voiced in `POSITION_FRAMES` before it and in its own."""
    usual: Usual | None
    """None for a caller who has said nothing before."""


def features(onset: Onset) -> Vector:
    """Return the figures of an onset of `DECISION_FRAMES`."""
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
    ]
    heard = np.clip((levels - onset.noise) / _TOP_DB, 0.0, 1.0)
    course = [
        figure
        for end in range(len(levels), BLOCK_FRAMES - 1, -BLOCK_FRAMES)
        for figure in _block(
            slice(end - BLOCK_FRAMES, end), levels - usual.dbov, heard, voicing, pitches
        )
    ]
    return np.array([*whole, *course, *_spectra(bands, heard, active)], dtype=np.float64)


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


def _spectra(bands: Vector, heard: Vector, active: NDArray[np.bool_]) -> Vector:
    """Return the spectrum of each block and of all, and how it varies."""
    weighted = bands * heard[:, None] + _SILENT_DB * (1 - heard[:, None])
    count = len(bands) // BLOCK_FRAMES
    blocks = weighted[-count * BLOCK_FRAMES :].reshape(count, BLOCK_FRAMES, -1).mean(axis=1)
    of_active = bands[active] if active.any() else bands
    return np.concatenate([blocks.ravel(), of_active.mean(axis=0), of_active.std(axis=0)])


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
    """Return the median of pitches against the usual one, and by how much they rise; in octaves."""
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
