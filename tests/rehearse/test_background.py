"""Noise and loss between the caller and the bridge."""

import numpy as np
import pytest

from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, SILENCE
from bridge.rehearse.background import ROOM_DBOV, Background
from bridge.rehearse.scenario import Loss, Noise

VOICE = (
    (8000 * np.sin(2 * np.pi * 300 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE))
    .astype("<i2")
    .tobytes()
)


def sound(background: Background, frame: bytes = SILENCE, count: int = 250) -> bytes:
    return b"".join(background.add(frame) for _ in range(count))


def test_a_caller_who_says_nothing_is_in_a_quiet_room():
    assert level(sound(Background(-23.0, 1))) == pytest.approx(ROOM_DBOV, abs=1.5)


@pytest.mark.parametrize(
    "kind", ["white", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("pink", "hum"))]
)
def test_a_noise_is_as_far_below_the_voice_as_it_is_said(kind: str):
    background = Background(-23.0, 1)
    background.change(Noise(noise=kind, snr=15))
    assert level(sound(background)) == pytest.approx(-38.0, abs=1.0)


def test_a_noise_ends():
    background = Background(-23.0, 1)
    background.change(Noise(noise="white", snr=10))
    background.change(Noise(noise="none"))
    assert level(sound(background)) == pytest.approx(ROOM_DBOV, abs=1.5)


def test_a_sound_is_repeated_as_a_noise():
    background = Background(-23.0, 1)
    background.change(Noise(noise="street.wav", snr=10), VOICE * 3)
    assert level(sound(background)) == pytest.approx(-33.0, abs=1.0)


def test_the_same_seed_makes_the_same_noise_and_loses_the_same_frames():
    def run(seed: int) -> bytes:
        background = Background(-23.0, seed)
        background.change(Noise(noise="pink", snr=20))
        background.change(Loss(loss=10))
        return sound(background, VOICE, 100)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_all_is_lost_at_100_percent():
    background = Background(-23.0, 1)
    background.change(Loss(loss=100))
    assert not any(sound(background, VOICE, 20)[-640:])
