"""The comparison itself, with signals whose answer is known."""

import math

import numpy as np
import pytest

from tests.support.packets.opus_packets import decode, encode
from tests.support.sound.speech_compare import (
    RATE,
    align,
    chirp,
    chirp_delays,
    chirps,
    compare,
    level_db,
    likeness,
    longest_gap,
    onsets,
    tone,
)
from tests.support.sound.voices import words


def babble(seconds, seed=1):
    """Noise with the rhythm and the spectrum of speech."""
    source = np.random.default_rng(seed)
    count = round(seconds * RATE)
    noise = np.convolve(source.normal(size=count), np.ones(6) / 6, mode="same")
    rhythm = np.clip(np.sin(2 * np.pi * 3 * np.arange(count) / RATE), 0, 1)
    return (8000 * noise * rhythm).astype(np.int16)


def test_a_delay_is_found_to_the_sample():
    said = babble(2)
    heard = np.concatenate([np.zeros(1234, np.int16), said])
    assert align(said, heard).lag == 1234
    assert align(said, heard).correlation > 0.999


def test_a_beginning_that_was_not_heard_is_a_negative_lag():
    said = babble(2)
    assert align(said, said[800:]).lag == -800


def test_another_sound_does_not_correlate():
    assert align(babble(2, seed=1), babble(2, seed=2)).correlation < 0.3


@pytest.mark.pesq
def test_half_the_amplitude_is_six_decibels_less():
    said = babble(2)
    found = compare(said, (said // 2).astype(np.int16))
    assert found.level_db == pytest.approx(-6.02, abs=0.1)


@pytest.mark.pesq
def test_what_went_through_opus_scores_lower_than_the_same_and_higher_than_noise():
    said = babble(3)
    same = compare(said, said)
    coded = compare(said, decode(encode(said, bitrate=24_000)))
    loud = said + 3 * babble(3, seed=9)[::-1]
    noisy = compare(said, np.clip(loud, -32768, 32767).astype(np.int16))
    assert same.pesq > coded.pesq > noisy.pesq
    assert same.stoi == pytest.approx(1.0, abs=0.001)
    assert 0.95 < coded.stoi < same.stoi


@pytest.mark.pesq
def test_less_than_a_second_cannot_be_compared():
    with pytest.raises(ValueError, match="shared"):
        compare(babble(0.5), babble(0.5))


def test_chirps_tell_the_delay_of_each_second():
    said = chirps(3)
    late = np.concatenate([np.zeros(480, np.int16), said])
    assert chirp_delays(late, 3) == pytest.approx([0.03] * 3, abs=0.0001)


def test_a_chirp_that_was_not_heard_is_not_a_number():
    said = chirps(3)
    said[round(1.4 * RATE) : round(1.6 * RATE)] = 0
    delays = chirp_delays(said, 3)
    assert math.isnan(delays[1])
    assert delays[0] == pytest.approx(0.0, abs=0.0001)


def test_chirps_survive_opus():
    delays = chirp_delays(decode(encode(chirps(2))), 2)
    assert all(0 <= delay < 0.02 for delay in delays)


def test_onsets_are_found_after_quiet_only():
    quiet = np.zeros(RATE // 2, np.int16)
    short = np.zeros(RATE // 100, np.int16)
    sound = np.concatenate([quiet, tone(0.2), short, tone(0.2), quiet, chirp(0.1)])
    assert onsets(sound) == pytest.approx([0.5, 1.41], abs=0.01)


def test_the_longest_gap_is_measured():
    sound = np.concatenate([tone(0.5), np.zeros(RATE // 5, np.int16), tone(0.5)])
    assert longest_gap(sound) == pytest.approx(0.2, abs=0.01)


def test_a_full_scale_square_has_level_zero_and_silence_a_floor():
    assert level_db(np.full(100, -32768, np.int16)) == 0.0
    assert level_db(np.zeros(100, np.int16)) == -120.0


def stretched(sound, *, every: float, by: float):
    """Repeat a bit of the sound again and again, as a playout buffer does that grows."""
    step, more = round(every * RATE), round(by * RATE)
    pieces = [sound[begin : begin + step] for begin in range(0, len(sound), step)]
    return np.concatenate([np.concatenate([piece, piece[-more:]]) for piece in pieces])


def test_speech_that_is_stretched_a_little_is_the_same_and_another_voice_is_not():
    said = words(0, 3.0)
    late = np.concatenate([np.zeros(5000, np.int16), stretched(said, every=0.6, by=0.02)])
    assert align(said, late).correlation < 0.8
    assert likeness(said, late) > 0.95
    assert likeness(said, words(1, 3.0)) < 0.6


def test_speech_that_stops_for_a_moment_is_the_same():
    said = words(0, 3.0)
    stalled = np.concatenate([said[:16_000], np.zeros(1920, np.int16), said[19_000:]])
    assert likeness(said, stalled) > 0.95


def test_speech_with_lost_or_swapped_messages_is_not_the_same():
    said = words(0, 3.0)
    blocks = said.reshape(-1, 960)
    swapped = blocks.reshape(-1, 2, 960)[:, ::-1].reshape(-1)
    holes = blocks.copy()
    holes[::3] = 0
    assert likeness(said, swapped) < 0.9
    assert likeness(said, holes.reshape(-1)) < 0.9
    assert likeness(said, np.delete(blocks, slice(None, None, 4), axis=0).reshape(-1)) < 0.9
    assert likeness(said, np.zeros(48_000, np.int16)) == 0.0
