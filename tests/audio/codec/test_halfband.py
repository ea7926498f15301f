"""Conversion between 8 and 16 kHz."""

from itertools import pairwise

import numpy as np
import pytest

from bridge.audio.codec.halfband import Decimator, Interpolator


def cosine(hertz, rate, seconds=0.25):
    return 10_000 * np.cos(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("hertz", [50, 300, 1000, 2500, 3400])
def test_a_tone_is_the_same_at_twice_the_rate_after_the_delay(hertz):
    heard = np.frombuffer(Interpolator().process(cosine(hertz, 8000).astype(np.float32)), "<i2")
    delay = 32  # samples: 2 ms
    wanted = cosine(hertz, 16_000)[: len(heard) - delay]
    assert np.abs(heard[delay:] - wanted)[100:].max() < 60


@pytest.mark.parametrize("hertz", [50, 300, 1000, 2500, 3400])
def test_a_tone_is_the_same_at_half_the_rate_after_the_delay(hertz):
    heard = Decimator().process(cosine(hertz, 16_000).astype("<i2").tobytes())
    wanted = cosine(hertz, 8000)[: len(heard) - 15]
    assert np.abs(heard[15:] - wanted)[50:].max() < 60


@pytest.mark.parametrize("hertz", [4600, 5500, 7800])
def test_what_half_the_rate_cannot_hold_is_suppressed(hertz):
    heard = Decimator().process(cosine(hertz, 16_000).astype("<i2").tobytes())
    assert np.abs(heard[50:]).max() < 20


def test_pieces_give_the_same_samples_as_the_whole():
    noise = np.rint(np.random.default_rng(1).normal(0, 3000, 1600)).astype(np.float32)
    whole = Interpolator().process(noise)
    up, down = Interpolator(), Decimator()
    parts = [80, 160, 16, 1, 15, 328, 1000]
    ends = np.cumsum([0, *parts])
    assert b"".join(up.process(noise[a:b]) for a, b in pairwise(ends)) == whole
    back = Decimator().process(whole)
    frames = [whole[start : start + 640] for start in range(0, len(whole), 640)]
    assert (np.concatenate([down.process(frame) for frame in frames]) == back).all()


def test_full_scale_is_clipped_and_does_not_wrap():
    square = np.where(np.arange(800) % 16 < 8, 32767, -32768).astype(np.float32)
    heard = np.frombuffer(Interpolator().process(square), "<i2")
    assert (heard[32:-1:2] == square[: len(heard[32:-1:2])]).all()
    assert heard.max() == 32767
    assert heard.min() == -32768
