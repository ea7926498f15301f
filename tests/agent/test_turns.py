"""Taking turns, frame by frame."""

from itertools import pairwise

import numpy as np

from bridge.agent.turns import MAX_HOLD_OFF_SECONDS, TurnDetector, TurnEvent
from bridge.audio.frame import SILENCE
from bridge.settings.agent import Agent

VOICE = (8000 * np.sin(np.arange(320) * 0.2)).astype("<i2").tobytes()
SOFT = (150 * np.sin(np.arange(320) * 0.2)).astype("<i2").tobytes()
LIMITS = Agent(silence_seconds=1.0, max_utterance_seconds=2.0)


def feed(turns, *frames, busy=False, speaking=False):
    return [turns.push(frame, busy=busy, speaking=speaking) for frame in frames]


def told(moments):
    return [(index, moment) for index, moment in enumerate(moments) if moment is not None]


def test_a_voice_counts_within_a_hundred_milliseconds():
    turns = TurnDetector()
    feed(turns, *[SILENCE] * 50, speaking=True, busy=True)
    [(index, moment)] = told(feed(turns, *[VOICE] * 5, speaking=True, busy=True))
    assert moment is TurnEvent.STARTED
    assert (index + 1) * 0.02 <= 0.1


def test_a_click_is_no_voice():
    turns = TurnDetector()
    assert told(feed(turns, *([VOICE, VOICE] + [SILENCE] * 10) * 3)) == []


def test_an_utterance_ends_after_the_silence_that_ends_it():
    turns = TurnDetector()
    moments = told(feed(turns, *[SILENCE] * 20, *[VOICE] * 30, *[SILENCE] * 60))
    assert moments == [(22, TurnEvent.STARTED), (20 + 30 + 35 - 1, TurnEvent.ENDED)]


def test_a_pause_between_words_ends_nothing():
    turns = TurnDetector()
    moments = told(feed(turns, *[VOICE] * 20, *[SILENCE] * 30, *[VOICE] * 20))
    assert [moment for _, moment in moments] == [TurnEvent.STARTED]


def test_an_utterance_holds_its_whole_voice_with_a_little_around_it():
    turns = TurnDetector()
    feed(turns, *[SILENCE] * 50, *[VOICE] * 30, *[SILENCE] * 40)
    taken = turns.take_utterance()
    assert taken.count(VOICE) == 30
    assert len(taken) == (15 + 30 + 10) * 640
    assert turns.take_utterance() == b""


def test_an_endless_utterance_is_taken_at_its_limit():
    turns = TurnDetector(LIMITS)
    moments = told(feed(turns, *[VOICE] * 120))
    assert moments[1] == (101, TurnEvent.ENDED) or moments[1][1] is TurnEvent.ENDED
    assert len(turns.take_utterance()) <= 100 * 640


def test_what_is_soft_does_not_interrupt_but_counts_otherwise():
    turns = TurnDetector()
    assert told(feed(turns, *[SOFT] * 20, speaking=True, busy=True)) == []
    assert told(feed(turns, *[SOFT] * 20)) == [(2, TurnEvent.STARTED)]


def test_silence_is_told_again_and_again():
    turns = TurnDetector(LIMITS)
    moments = told(feed(turns, *[SILENCE] * 101))
    assert moments == [(49, TurnEvent.SILENT), (99, TurnEvent.SILENT)]


def test_our_own_turn_is_not_their_silence():
    turns = TurnDetector(LIMITS)
    assert told(feed(turns, *[SILENCE] * 200, busy=True)) == []
    assert told(feed(turns, *[SILENCE] * 49)) == []


# With a judge


class Ears:
    def __init__(self, voice=False):
        self.voice = voice
        self.heard = 0

    def reset(self):
        self.heard = 0

    def push(self, pcm):
        self.heard += 1
        return self.voice


def test_a_noise_is_noticed_and_then_dismissed():
    turns = TurnDetector(detector=Ears())
    feed(turns, *[SILENCE] * 50)
    assert told(feed(turns, *[VOICE] * 60)) == [(1, TurnEvent.NOTICED), (15, TurnEvent.DISMISSED)]
    assert turns._utterance is None


def test_a_noise_that_is_over_is_dismissed_at_once():
    turns = TurnDetector(detector=Ears())
    feed(turns, *[SILENCE] * 50)
    moments = told(feed(turns, *[VOICE] * 2, *[SILENCE] * 30))
    assert moments == [(1, TurnEvent.NOTICED), (11, TurnEvent.DISMISSED)]


def test_a_voice_that_is_known_at_once_starts_without_being_noticed():
    turns = TurnDetector(detector=Ears(voice=True))
    feed(turns, *[SILENCE] * 50)
    assert told(feed(turns, *[VOICE] * 5)) == [(1, TurnEvent.STARTED)]


def test_a_voice_that_is_known_late_starts_with_all_of_its_sound():
    ears = Ears()
    turns = TurnDetector(detector=ears)
    feed(turns, *[SILENCE] * 50, *[VOICE] * 10)
    ears.voice = True
    assert told(feed(turns, *[VOICE] * 20)) == [(0, TurnEvent.STARTED)]
    ears.voice = False
    feed(turns, *[SILENCE] * 40)
    assert turns.take_utterance().count(VOICE) == 30


def test_a_voice_out_of_a_noise_that_was_dismissed_is_one_still():
    ears = Ears()
    turns = TurnDetector(detector=ears)
    feed(turns, *[SILENCE] * 50, *[VOICE] * 40)
    ears.voice = True
    assert told(feed(turns, *[VOICE] * 3)) == [(0, TurnEvent.STARTED)]


def test_noises_that_go_on_and_on_are_noticed_ever_more_rarely():
    turns = TurnDetector(detector=Ears())
    moments = told(feed(turns, *([VOICE] * 5 + [SILENCE] * 20) * 160))
    noticed = [index * 0.02 for index, moment in moments if moment is TurnEvent.NOTICED]
    waits = [later - earlier for earlier, later in pairwise(noticed)]
    assert all(later > earlier for earlier, later in pairwise(waits))
    assert waits[-1] <= MAX_HOLD_OFF_SECONDS + 1
    assert len(noticed) <= 6


def test_what_was_noticed_is_always_dismissed_or_a_voice():
    rng = np.random.default_rng(5)
    ears = Ears()
    turns = TurnDetector(detector=ears)
    paused = False
    for _ in range(20_000):
        ears.voice = bool(rng.random() < 0.02)
        moment = turns.push(
            VOICE if rng.random() < 0.4 else SILENCE, busy=False, speaking=bool(rng.random() < 0.5)
        )
        if moment is TurnEvent.NOTICED:
            assert not paused
            paused = True
        elif moment in (TurnEvent.DISMISSED, TurnEvent.STARTED):
            paused = False
        assert not paused or turns._utterance is None


def test_noise_behind_a_voice_ends_the_utterance():
    ears = Ears(voice=True)
    turns = TurnDetector(detector=ears)
    feed(turns, *[SILENCE] * 20, *[VOICE] * 30)
    ears.voice = False
    assert told(feed(turns, *[VOICE] * 36)) == [(34, TurnEvent.ENDED)]


def test_silence_behind_a_voice_counts_from_its_own_beginning():
    ears = Ears(voice=True)
    turns = TurnDetector(detector=ears)
    feed(turns, *[SILENCE] * 20, *[VOICE] * 30)
    moments = feed(turns, *[SILENCE] * 3)
    ears.voice = False
    moments += feed(turns, *[SILENCE] * 40)
    assert told(moments) == [(34, TurnEvent.ENDED)]


def test_soft_words_that_only_the_judge_hears_end_nothing():
    ears = Ears(voice=True)
    turns = TurnDetector(detector=ears)
    feed(turns, *[SILENCE] * 20, *[VOICE] * 30)
    assert told(feed(turns, *[SILENCE] * 100)) == []


def test_silence_costs_the_judge_nothing():
    ears = Ears()
    turns = TurnDetector(detector=ears)
    feed(turns, *[SILENCE] * 500)
    assert ears.heard == 0
