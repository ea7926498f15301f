"""Tones that replace speech."""

import numpy as np

from bridge.agent.filler import tone


def test_a_tone_has_its_pitch_and_soft_edges():
    sound = np.frombuffer(tone((500.0,), each=1.0), "<i2").astype(float)
    assert np.argmax(np.abs(np.fft.rfft(sound))) == 500
    assert abs(sound[0]) + abs(sound[-1]) < 10
