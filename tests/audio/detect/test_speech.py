"""Where stretches of speech begin and end."""

import numpy as np
import pytest

from bridge.audio.detect.speech import SpeechMeter

RATE = 16_000


def sound(seconds, *spoken, noise=5.0, voice=3000.0):
    """Make a hiss with a harmonic tone in each span, as frames."""
    samples = np.random.default_rng(3).normal(0, noise, round(seconds * RATE))
    for begins, ends in spoken:
        first, last = round(begins * RATE), round(ends * RATE)
        samples[first:last] += voice * np.sin(np.arange(last - first) * 2 * np.pi * 200 / RATE)
    pcm = samples.astype("<i2").tobytes()
    return [pcm[at : at + 640] for at in range(0, len(pcm) - 639, 640)]


def stretches(frames):
    meter, found = SpeechMeter(), []
    for number, pcm in enumerate(frames):
        if meter.push(pcm, number * 0.02) and not meter.speaking:
            found.append((meter.began, meter.ended))
    return found


@pytest.mark.parametrize("noise", [1.0, 30.0, 100.0])
def test_a_stretch_is_found_to_a_few_milliseconds(noise):
    # How loud the background is, is known after 2 s.
    *_, (began, ended) = stretches(sound(6, (3.013, 4.237), noise=noise))
    assert (began, ended) == pytest.approx((3.013, 4.237), abs=0.0065)


def test_a_short_gap_within_a_word_ends_nothing():
    assert len(stretches(sound(3, (1.0, 1.3), (1.36, 1.8)))) == 1


def test_two_words_are_two_stretches():
    assert len(stretches(sound(3, (1.0, 1.3), (1.5, 1.8)))) == 2


def test_a_click_is_no_speech():
    assert stretches(sound(3, (1.0, 1.03))) == []


def test_a_click_after_a_word_does_not_lengthen_it():
    [(_, ended)] = stretches(sound(3, (1.0, 1.5), (1.7, 1.72)))
    assert ended == pytest.approx(1.5, abs=0.0065)


def test_a_consonant_at_the_end_of_a_word_belongs_to_it():
    [(_, ended)] = stretches(sound(3, (1.0, 1.5), (1.6, 1.63)))
    assert ended == pytest.approx(1.63, abs=0.0065)


def test_clicks_that_follow_each_other_do_not_lengthen_a_word_on_and_on():
    clicks = [(1.6 + 0.12 * number, 1.62 + 0.12 * number) for number in range(10)]
    [(_, ended)] = stretches(sound(4, (1.0, 1.5), *clicks))
    assert ended < 1.67


def test_what_is_no_frame_is_silence():
    frames = sound(2, (0.5, 1.0))
    [(_, ended)] = stretches([*frames[:50], *([None] * 20)])
    assert ended == pytest.approx(1.0, abs=0.0065)


def test_of_a_stretch_that_goes_on_it_is_known_how_long_it_is_by_now():
    meter = SpeechMeter()
    for number, pcm in enumerate(sound(2, (0.5, 2.0))[:50]):
        meter.push(pcm, number * 0.02)
    assert meter.speaking
    assert meter.last == pytest.approx(1.0)
