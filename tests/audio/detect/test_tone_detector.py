"""Steady tones: found, measured, and told from everything else."""

import numpy as np
import pytest

from bridge.audio.detect.tone_detector import ToneDetector, tone_in
from bridge.audio.frame import FRAME_BYTES, SAMPLE_RATE, SILENCE


def sine(hertz, seconds=0.02, *, volume=0.2, noise=0.0):
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chance = np.random.default_rng(1).standard_normal(len(at))
    samples = volume * np.sin(2 * np.pi * hertz * at) + noise * chance
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def durations(pcm):
    detector = ToneDetector()
    frames = [
        pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
    ]
    return [round(found, 2) for frame in frames if (found := detector.push(frame))]


@pytest.mark.parametrize("hertz", [400, 440, 1000, 1400, 2100])
def test_a_tone_is_measured(hertz):
    tone = tone_in(sine(hertz))
    assert tone is not None
    assert tone.hertz == pytest.approx(hertz, abs=5)
    assert tone.dbov == pytest.approx(-17, abs=1)


@pytest.mark.parametrize("pcm", [SILENCE, sine(1000, volume=0.002), sine(0, noise=0.2)])
def test_silence_and_noise_are_no_tone(pcm):
    assert tone_in(pcm) is None


def test_two_tones_at_once_are_none():
    both = np.frombuffer(sine(697), "<i2") // 2 + np.frombuffer(sine(1209), "<i2") // 2
    assert tone_in(both.astype("<i2").tobytes()) is None


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.04])
def test_the_duration_of_a_tone_is_known_when_it_is_over(noise):
    pcm = SILENCE * 10 + sine(1000, 0.5, noise=noise) + SILENCE * 10
    assert durations(pcm) == [0.5]


def test_a_clipped_tone_is_one():
    assert durations(sine(950, 0.4, volume=8) + SILENCE * 5) == [0.4]


def test_lost_packets_do_not_cut_a_tone():
    assert durations(sine(1000, 0.2) + SILENCE * 2 + sine(1000, 0.2) + SILENCE * 5) == [0.44]


def test_a_rising_whistle_is_no_tone():
    rising = b"".join(sine(hertz) for hertz in range(500, 1500, 20))
    assert max(durations(rising + SILENCE * 5), default=0) < 0.1
