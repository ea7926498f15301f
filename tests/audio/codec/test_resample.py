"""Resampling, sample by sample against sines that were made at the wanted rate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.codec.resample import Resampler
from tests.support.examples import examples

RATES = [(8000, 16000), (16000, 8000), (24000, 16000), (16000, 24000), (48000, 16000)]
RATES += [(16000, 48000), (44100, 16000), (11025, 16000), (16000, 16000)]


def sine(rate: int, hertz: float, seconds: float = 0.5) -> np.ndarray:
    moments = np.arange(round(rate * seconds)) / rate
    made: np.ndarray = np.rint(12000 * np.sin(2 * np.pi * hertz * moments)).astype("<i2")
    return made


def resample(pcm: bytes, source: int, target: int) -> bytes:
    """Convert a complete recording without delay."""
    resampler = Resampler(source, target)
    if source != target:
        resampler.align()
    output = resampler.process(pcm) + resampler.flush()
    return output[: 2 * -(-len(pcm) // 2 * target // source)]


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float)


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("hertz", [200.0, 1000.0, 2900.0])
def test_a_sine_comes_out_as_the_same_sine_at_the_other_rate(source, target, hertz):
    made = samples(resample(sine(source, hertz).tobytes(), source, target))
    wanted = sine(target, hertz).astype(float)
    assert len(made) == len(wanted)
    middle = slice(target // 50, -target // 50)
    assert np.abs(made[middle] - wanted[middle]).max() <= 4


@pytest.mark.parametrize(("source", "target"), [(48000, 16000), (24000, 16000), (16000, 8000)])
def test_what_the_other_rate_cannot_carry_is_taken_away(source, target):
    made = samples(resample(sine(source, target * 0.53).tobytes(), source, target))
    assert np.sqrt(np.mean(np.square(made[100:-100]))) < 12000 * 10 ** (-70 / 20)


@pytest.mark.parametrize(("source", "target"), RATES)
def test_every_frame_comes_out_as_a_whole_frame_from_the_first_on(source, target):
    resampler = Resampler(source, target)
    frame = sine(source, 440.0, 0.02).tobytes()
    if source % 50 == target % 50 == 0 and len(frame) == source // 25:
        assert [len(resampler.process(frame)) // 2 for _ in range(5)] == [target // 50] * 5
    made = sum(len(resampler.process(frame)) // 2 for _ in range(50))
    assert abs(made - 50 * len(frame) // 2 * target / source) <= 1


def test_the_sound_comes_later_by_the_delay_that_is_told():
    resampler = Resampler(8000, 16000)
    made = samples(resampler.process(sine(8000, 440.0).tobytes()))
    late = round(resampler.delay_seconds * 16000)
    wanted = sine(16000, 440.0).astype(float)[: len(made) - late]
    assert resampler.delay_seconds <= 0.004
    assert np.abs(made[late:][400:] - wanted[400:]).max() <= 4


def test_a_flush_gives_the_end_and_the_next_sound_begins_in_silence():
    resampler = Resampler(24000, 16000)
    sound = sine(24000, 700.0).tobytes()
    first = resampler.process(sound) + resampler.flush()
    assert resampler.process(sound) + resampler.flush() == first
    assert len(first) // 2 == 8000 + 32


def test_full_scale_is_clipped_and_never_wraps():
    square = np.where(np.arange(4800) % 48 < 24, 32767, -32768).astype("<i2")
    made = samples(resample(square.tobytes(), 24000, 16000))
    high = made[64:-64][np.arange(64, len(made) - 64) % 32 == 8]
    assert (high > 20000).all()


@settings(deadline=None, max_examples=examples(25))
@given(st.lists(st.integers(0, 1500), max_size=12), st.sampled_from(RATES))
def test_how_the_sound_is_cut_into_pieces_changes_nothing(lengths, rates):
    sound = (np.arange(sum(lengths)) * 7919 % 40000 - 20000).astype("<i2").tobytes()
    pieces, whole = Resampler(*rates), Resampler(*rates)
    made, begin = b"", 0
    for length in lengths:
        made += pieces.process(sound[2 * begin : 2 * (begin + length)])
        begin += length
    apart = samples(made) - samples(whole.process(sound))
    assert np.abs(apart).max(initial=0) <= 1
