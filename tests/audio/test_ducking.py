"""VoiceDetectors lowered under other sound, by the sample."""

import numpy as np
import pytest

from bridge.audio.ducking import FALL_FRAMES, RISE_FRAMES, Ducking, attenuation
from bridge.audio.frame import FRAME_SAMPLES
from tests.support.sound.voice import pcm


def samples(frame):
    return np.frombuffer(frame, np.int16).astype(int)


def said(ducking, frames, wanted, *, voice=10_000, over=()):
    return np.concatenate([samples(ducking.mix([pcm(voice)], over, wanted)) for _ in range(frames)])


def test_twelve_decibels_are_a_quarter():
    assert attenuation(12) == pytest.approx(0.25, abs=0.002)
    assert attenuation(0) == 1.0


def test_a_voice_goes_down_in_60_ms_to_what_is_wanted():
    heard = said(Ducking(), FALL_FRAMES + 1, 0.25)
    assert heard[-FRAME_SAMPLES - 1] == 2500
    assert set(heard[-FRAME_SAMPLES:]) == {2500}
    assert heard[-FRAME_SAMPLES - 2] > 2500


def test_a_voice_comes_back_in_200_ms_to_the_very_samples_that_were_said():
    ducking = Ducking()
    said(ducking, FALL_FRAMES, 0.25)
    heard = said(ducking, RISE_FRAMES + 1, 1.0)
    assert set(heard[-FRAME_SAMPLES:]) == {10_000}
    assert heard[-FRAME_SAMPLES - 2] < 10_000
    assert ducking.idle


def test_no_two_samples_are_a_step_apart():
    ducking = Ducking()
    heard = np.concatenate([said(ducking, FALL_FRAMES + 5, 0.001), said(ducking, 15, 1.0)])
    assert np.abs(np.diff(heard)).max() <= 10_000 / (FALL_FRAMES * FRAME_SAMPLES) + 1


def test_what_is_heard_over_it_is_as_loud_as_it_came():
    ducking = Ducking()
    said(ducking, FALL_FRAMES, 0.25)
    assert set(said(ducking, 1, 0.25, over=[pcm(3000), pcm(200)])) == {2500 + 3200}


def test_a_gap_of_a_frame_lifts_a_voice_by_little():
    ducking = Ducking()
    said(ducking, FALL_FRAMES, 0.0)
    assert said(ducking, 1, 1.0).max() <= 1000
    assert said(ducking, 1, 0.0)[-1] == 0


def test_it_may_turn_round_before_it_has_arrived():
    ducking = Ducking()
    down = said(ducking, 1, 0.1)
    up = said(ducking, 20, 1.0)
    assert 0 <= up[0] - down[-1] <= 10
    assert up[-1] == 10_000


def test_louder_than_full_scale_is_clipped():
    assert set(samples(Ducking().mix([pcm(30_000)], [pcm(30_000)], 1.0))) == {32_767}


def test_nothing_said_is_nothing_while_the_gain_moves_all_the_same():
    ducking = Ducking()
    for _ in range(FALL_FRAMES):
        assert ducking.mix([], [], 0.5) is None
    assert set(said(ducking, 1, 0.5)) == {5000}
