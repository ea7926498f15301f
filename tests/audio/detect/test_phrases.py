"""Phrases: where they begin and end."""

import functools
import itertools
import operator

import numpy as np
import pytest

from bridge.audio.detect.phrases import MARGIN_SECONDS, PAUSE_SECONDS, PhraseSplitter
from bridge.audio.frame import SILENCE

LOUD = (8000 * np.sin(np.arange(320) * 0.2)).astype("<i2").tobytes()


def quiet(seconds):
    return SILENCE * round(seconds * 50)


def loud(seconds):
    return LOUD * round(seconds * 50)


def split(pcm, *, max_seconds=30.0):
    splitter = PhraseSplitter(max_seconds=max_seconds)
    return splitter.push(pcm) + splitter.flush()


def test_a_pause_ends_a_phrase():
    first, second = split(quiet(1) + loud(2) + quiet(PAUSE_SECONDS) + loud(1) + quiet(2))
    assert first.start == pytest.approx(1 - MARGIN_SECONDS, abs=0.021)
    assert first.end == pytest.approx(3 + MARGIN_SECONDS, abs=0.021)
    assert second.start == pytest.approx(3.7 - MARGIN_SECONDS, abs=0.021)
    assert second.end == pytest.approx(4.7 + MARGIN_SECONDS, abs=0.021)


def test_a_short_pause_does_not():
    assert len(split(loud(1) + quiet(0.5) + loud(1) + quiet(1))) == 1


def test_a_phrase_that_the_end_cuts_is_one():
    [phrase] = split(quiet(0.5) + loud(1))
    assert phrase.end == pytest.approx(1.5)


@pytest.mark.parametrize("pcm", [b"", quiet(5), quiet(1) + loud(0.06) + quiet(2), bytes(100)])
def test_silence_and_clicks_are_no_phrase(pcm):
    assert split(pcm) == []


def test_a_long_phrase_is_cut_and_nothing_of_it_is_lost():
    pcm = loud(5)
    phrases = split(pcm, max_seconds=2.0)
    assert [round(phrase.end - phrase.start, 2) for phrase in phrases] == [2.0, 2.0, 1.0]
    assert b"".join(phrase.pcm for phrase in phrases) == pcm


def test_the_blocks_in_which_audio_comes_make_no_difference():
    pcm = quiet(1) + loud(1.3) + quiet(1) + loud(0.4)
    splitter = PhraseSplitter(max_seconds=30)
    frames = [splitter.push(pcm[at : at + 640]) for at in range(0, len(pcm), 640)]
    assert functools.reduce(operator.iadd, frames, []) + splitter.flush() == split(pcm)


def test_no_phrase_overlaps_the_one_before():
    pcm = b"".join(loud(0.3) + quiet(0.72) for _ in range(6))
    phrases = split(pcm)
    assert len(phrases) == 6
    assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(phrases))
