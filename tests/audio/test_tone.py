"""Tones."""

import numpy as np
import pytest

from bridge.audio.tone import tone


def samples(pcm: bytes):
    return np.frombuffer(pcm, "<i2").astype(float)


@pytest.mark.parametrize("hertz", [440.0, 1000.0, 1400.0])
def test_a_tone_has_its_frequency_and_length(hertz):
    wave = samples(tone(hertz, 0.5))
    assert len(wave) == 8000
    assert np.argmax(np.abs(np.fft.rfft(wave))) * 2 == pytest.approx(hertz, abs=2)


def test_a_tone_begins_and_ends_softly_and_reaches_its_peak():
    wave = samples(tone(1000.0, 0.2, peak=5000))
    assert abs(wave[0]) < 100
    assert abs(wave[-1]) < 100
    assert 4900 < wave.max() <= 5000
