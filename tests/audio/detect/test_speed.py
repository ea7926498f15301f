"""Speech at a wrong speed is told from natural voices, which are never taken for it."""

import numpy as np
import pytest

from bridge.audio.detect.level import level
from bridge.audio.detect.speed import FAST, MIN_PAIRS, PAIR_BYTES, SLOW, SpeedMeter
from tests.support.peers.stock_peer import Pcm
from tests.support.sound.voices import SPEECH, words


def octaves(pcm: Pcm) -> float | None:
    """Measure one pair of frames of four."""
    meter, data = SpeedMeter(), pcm.astype("<i2").tobytes()
    for begin in range(0, len(data) - PAIR_BYTES, 2 * PAIR_BYTES):
        pair = data[begin : begin + PAIR_BYTES]
        if level(pair) > -40:
            meter.push(pair)
    return meter.octaves


def played(pcm: Pcm, speed: float) -> Pcm:
    """Play a voice faster, and higher."""
    size = int(len(pcm) / speed)
    moved = np.interp(np.linspace(0, len(pcm) - 1, size), np.arange(len(pcm)), pcm)
    return np.rint(moved).astype(np.int16)


@pytest.mark.parametrize("voice", range(len(SPEECH)))
def test_a_natural_voice_is_neither_fast_nor_slow(voice: int) -> None:
    found = octaves(words(voice, 10.0))
    assert found is not None
    assert SLOW <= found <= FAST


@pytest.mark.parametrize("voice", range(len(SPEECH)))
def test_a_voice_at_three_times_its_speed_is_fast(voice: int) -> None:
    found = octaves(played(words(voice, 24.0), 3.0))
    assert found is not None
    assert found > FAST


@pytest.mark.parametrize("voice", range(len(SPEECH)))
def test_a_voice_at_half_its_speed_is_slow_or_has_no_pitch(voice: int) -> None:
    found = octaves(played(words(voice, 6.0), 0.5))
    assert found is None or found < SLOW


def test_a_faster_voice_is_always_higher() -> None:
    found = [octaves(played(words(0, 12.0), speed)) for speed in (0.67, 1.0, 1.5, 2.0)]
    assert all(one is not None for one in found)
    assert found == sorted(found)  # type: ignore[type-var]


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 160_000).astype(np.int16)
    assert octaves(noise) is None


def test_silence_has_no_pitch() -> None:
    meter = SpeedMeter()
    for _ in range(2 * MIN_PAIRS):
        meter.push(bytes(PAIR_BYTES))
    assert meter.octaves is None
