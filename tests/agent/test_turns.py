"""Taking turns, frame by frame."""

import numpy as np

from bridge.agent.turns import Moment, TurnLimits, Turns
from bridge.audio.frame import SILENCE

VOICE = (8000 * np.sin(np.arange(320) * 0.2)).astype("<i2").tobytes()
SOFT = (150 * np.sin(np.arange(320) * 0.2)).astype("<i2").tobytes()
LIMITS = TurnLimits(silence=1.0, longest=2.0)


def feed(turns, *frames, busy=False, speaking=False):
    return [turns.push(frame, busy=busy, speaking=speaking) for frame in frames]


def told(moments):
    return [(index, moment) for index, moment in enumerate(moments) if moment is not None]


def test_a_voice_counts_within_a_hundred_milliseconds():
    turns = Turns()
    feed(turns, *[SILENCE] * 50, speaking=True, busy=True)
    [(index, moment)] = told(feed(turns, *[VOICE] * 5, speaking=True, busy=True))
    assert moment is Moment.STARTED
    assert (index + 1) * 0.02 <= 0.1


def test_a_click_is_no_voice():
    turns = Turns()
    assert told(feed(turns, *([VOICE, VOICE] + [SILENCE] * 10) * 3)) == []


def test_an_utterance_ends_after_the_silence_that_ends_it():
    turns = Turns()
    moments = told(feed(turns, *[SILENCE] * 20, *[VOICE] * 30, *[SILENCE] * 60))
    assert moments == [(22, Moment.STARTED), (20 + 30 + 35 - 1, Moment.ENDED)]


def test_a_pause_between_words_ends_nothing():
    turns = Turns()
    moments = told(feed(turns, *[VOICE] * 20, *[SILENCE] * 30, *[VOICE] * 20))
    assert [moment for _, moment in moments] == [Moment.STARTED]


def test_an_utterance_holds_its_whole_voice_with_a_little_around_it():
    turns = Turns()
    feed(turns, *[SILENCE] * 50, *[VOICE] * 30, *[SILENCE] * 40)
    taken = turns.take()
    assert taken.count(VOICE) == 30
    assert len(taken) == (15 + 30 + 10) * 640
    assert turns.take() == b""


def test_an_endless_utterance_is_taken_at_its_limit():
    turns = Turns(LIMITS)
    moments = told(feed(turns, *[VOICE] * 120))
    assert moments[1] == (101, Moment.ENDED) or moments[1][1] is Moment.ENDED
    assert len(turns.take()) <= 100 * 640


def test_what_is_soft_does_not_interrupt_but_counts_otherwise():
    turns = Turns()
    assert told(feed(turns, *[SOFT] * 20, speaking=True, busy=True)) == []
    assert told(feed(turns, *[SOFT] * 20)) == [(2, Moment.STARTED)]


def test_silence_is_told_again_and_again():
    turns = Turns(LIMITS)
    moments = told(feed(turns, *[SILENCE] * 101))
    assert moments == [(49, Moment.SILENT), (99, Moment.SILENT)]


def test_our_own_turn_is_not_their_silence():
    turns = Turns(LIMITS)
    assert told(feed(turns, *[SILENCE] * 200, busy=True)) == []
    assert told(feed(turns, *[SILENCE] * 49)) == []
