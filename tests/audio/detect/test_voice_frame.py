"""What a frame of a voice sounds like."""

import numpy as np
import pytest

from bridge.audio.detect.voice_frame import BANDS, VOICED, WINDOW_SAMPLES, measure


def harmonic(pitch, seconds=0.04):
    at = np.arange(round(seconds * 16000)) / 16000
    wave = sum(np.sin(2 * np.pi * pitch * number * at) / number for number in range(1, 8))
    return (3000 * wave).astype("<i2").tobytes()


@pytest.mark.parametrize("pitch", [80, 120, 200, 350])
def test_the_pitch_of_a_voice_is_found(pitch):
    found = measure(harmonic(pitch))
    assert found.voicing > VOICED
    assert found.pitch == pytest.approx(pitch, rel=0.03)


def test_hiss_is_not_voiced():
    hiss = np.random.default_rng(1).normal(0, 3000, WINDOW_SAMPLES).astype("<i2").tobytes()
    assert measure(hiss).voicing < VOICED


def test_the_bands_are_shares_of_the_power():
    bands = measure(harmonic(200)).bands
    assert np.sum(10 ** (bands / 10)) == pytest.approx(1.0)
    assert bands.argmax() == 0


def test_silence_has_no_features():
    found = measure(bytes(1280))
    assert (found.voicing, found.pitch) == (0.0, 0.0)
    assert len(found.bands) == BANDS
