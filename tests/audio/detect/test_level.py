import numpy as np
import pytest

from bridge.audio.detect.level import SILENT, clips, level
from bridge.audio.frame import SILENCE


def tone(amplitude: float) -> bytes:
    return (amplitude * np.sin(2 * np.pi * np.arange(320) / 16)).astype(np.int16).tobytes()


def test_digital_silence_is_the_floor():
    assert level(SILENCE) == SILENT == -127.0


def test_a_full_scale_square_wave_is_zero():
    square = np.tile(np.array([-32768] * 8 + [32767] * 8, np.int16), 20)
    assert level(square.tobytes()) == pytest.approx(0.0, abs=0.001)


def test_a_full_scale_sine_is_three_decibels_less():
    assert level(tone(32767)) == pytest.approx(-3.01, abs=0.01)


def test_a_tenth_of_the_amplitude_is_twenty_decibels_less():
    assert level(tone(3000)) - level(tone(300)) == pytest.approx(20.0, abs=0.05)


def test_the_faintest_sound_is_above_the_floor():
    assert level(bytes([1, 0]) + bytes(638)) > SILENT


@pytest.mark.parametrize(("amplitude", "expected"), [(40_000, True), (32_700, False), (300, False)])
def test_only_sound_that_reaches_full_scale_clips(amplitude, expected):
    wave = np.clip(amplitude * np.sin(2 * np.pi * np.arange(320) / 16), -32768, 32767)
    pcm = wave.astype(np.int16).tobytes()
    assert clips(pcm, level(pcm)) is expected
