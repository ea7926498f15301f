"""The scripted caller, frame by frame."""

import numpy as np
import pytest

from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, SILENCE
from bridge.rehearse.background import Background
from bridge.rehearse.scenario import (
    Backchannel,
    BargeIn,
    HangUp,
    Press,
    Say,
    Step,
    Wait,
    WaitFor,
)
from bridge.rehearse.talk import Cue, Talk

VOICE = (
    (8000 * np.sin(2 * np.pi * 300 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE))
    .astype("<i2")
    .tobytes()
)
SECOND = VOICE * 50


class Call:
    """A talk, and what it does."""

    def __init__(self, *steps: Step) -> None:
        self.keys: list[str] = []
        self.hung_up = False
        cues = [
            Cue(step, SECOND if isinstance(step, Say | BargeIn | Backchannel) else b"")
            for step in steps
        ]
        self.talk = Talk(cues, Background(-23.0, 1), press=self.keys.append, hang_up=self.hang_up)

    def hang_up(self) -> None:
        self.hung_up = True

    def hear(self, seconds: float, *, voice: bool) -> "Call":
        """Let the bot speak, or not, for some seconds, or until the caller hangs up."""
        for _ in range(round(seconds * 50)):
            if not self.hung_up:
                self.talk.tick(VOICE if voice else SILENCE)
        return self

    def hear_filler(self, seconds: float) -> "Call":
        """Let the bot say a filler for some seconds."""
        for _ in range(round(seconds * 50)):
            self.talk.tick(VOICE, filler=True)
        return self

    def loud(self, begin: float, end: float) -> bool:
        """Whether the caller spoke all the time between."""
        pcm = np.frombuffer(bytes(self.talk.said), "<i2").astype(float)
        part = pcm[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)].reshape(-1, FRAME_SAMPLES)
        return bool(np.all(np.abs(part).max(axis=1) > 1000))


def test_a_caller_says_what_it_has_to_say_and_hangs_up():
    call = Call(Say(say="x")).hear(2, voice=False)
    assert call.hung_up
    assert call.loud(0.02, 1.0)
    assert call.talk.now == pytest.approx(1.0, abs=0.021)


def test_what_is_said_and_heard_is_equally_long():
    call = Call(Say(say="x"), Wait(wait=2)).hear(2.5, voice=True)
    assert len(call.talk.said) == len(call.talk.heard)


def test_silence_lasts_as_long_as_the_step_says():
    call = Call(Wait(wait=1.5)).hear(3, voice=False)
    assert call.talk.taken[0].ended == pytest.approx(1.5, abs=0.02)


def test_a_filler_is_no_answer():
    call = Call(Say(say="x"), WaitFor(wait_for="answer"), Wait(wait=9))
    call.hear(1.5, voice=False).hear_filler(1.0)
    assert len(call.talk.taken) == 2
    call.hear(0.2, voice=True)
    assert len(call.talk.taken) == 3
    [(began, ended)] = call.talk.fillers
    assert (began, ended) == (pytest.approx(1.5, abs=0.02), pytest.approx(2.5, abs=0.02))


def test_a_filler_is_no_silence():
    call = Call(WaitFor(wait_for="silence", silence=0.5), Wait(wait=9))
    call.hear_filler(1.0).hear(0.4, voice=False)
    assert len(call.talk.taken) == 1
    call.hear(0.2, voice=False)
    assert len(call.talk.taken) == 2


def test_an_answer_is_what_begins_after_the_question():
    call = Call(Say(say="x"), WaitFor(wait_for="answer"), Wait(wait=9))
    call.hear(0.5, voice=True).hear(1.0, voice=False)
    assert len(call.talk.taken) == 2
    call.hear(0.2, voice=True)
    assert len(call.talk.taken) == 3


def test_an_answer_is_over_when_the_bot_has_been_silent():
    call = Call(WaitFor(wait_for="answer_end", silence=0.8), Wait(wait=9))
    call.hear(1.0, voice=True).hear(0.5, voice=False)
    assert len(call.talk.taken) == 1
    call.hear(0.4, voice=False)
    assert len(call.talk.taken) == 2


def test_a_bot_that_never_spoke_is_silent():
    call = Call(WaitFor(wait_for="silence", silence=1.0), Wait(wait=9)).hear(1.1, voice=False)
    assert len(call.talk.taken) == 2


def test_an_answer_that_does_not_come_ends_the_talk():
    call = Call(WaitFor(wait_for="answer", within=2.0), Say(say="x")).hear(3, voice=False)
    assert call.hung_up
    assert call.talk.failure == "step 1: no answer within 2 s"


def test_a_barge_in_waits_until_the_bot_has_spoken():
    call = Call(BargeIn(barge_in="x", after=0.6)).hear(1.0, voice=False).hear(2.0, voice=True)
    assert call.talk.taken[0].spoke == pytest.approx(1.6, abs=0.05)


def test_a_barge_in_counts_pauses_between_sentences_as_speech():
    call = Call(BargeIn(barge_in="x", after=1.0))
    call.hear(0.5, voice=True).hear(0.4, voice=False).hear(1.0, voice=True)
    assert call.talk.taken[0].spoke == pytest.approx(1.0, abs=0.1)


def test_after_a_backchannel_the_answer_is_still_the_same():
    call = Call(
        Say(say="x"),
        Backchannel(backchannel="mm-hm", after=0.5),
        WaitFor(wait_for="answer_end"),
        Wait(wait=9),
    )
    call.hear(1.2, voice=False).hear(3.0, voice=True).hear(1.1, voice=False)
    assert len(call.talk.taken) == 4


def test_keys_are_pressed_one_after_the_other():
    call = Call(Press(digits="12#", gap=0.5), Wait(wait=9)).hear(0.6, voice=False)
    assert call.keys == ["1", "2"]
    call.hear(0.5, voice=False)
    assert call.keys == ["1", "2", "#"]


def test_words_end_a_wait_once_they_are_known_to_be_heard():
    call = Call(WaitFor(wait_for="words", words=("yes",)), Wait(wait=9)).hear(1, voice=True)
    assert call.talk.waits_for_words == ("yes",)
    call.talk.words.add("yes")
    assert len(call.hear(0.1, voice=False).talk.taken) == 2


def test_digits_of_the_bot_end_a_wait():
    call = Call(WaitFor(wait_for="digits", digits="42"), Wait(wait=9)).hear(1, voice=False)
    call.talk.received += "142"
    assert len(call.hear(0.1, voice=False).talk.taken) == 2


def test_a_bot_that_hangs_up_in_the_middle_leaves_the_script_incomplete():
    call = Call(Wait(wait=5), Say(say="x")).hear(1, voice=True)
    call.talk.close()
    assert not call.talk.complete
    assert call.talk.stretches == [(0.0, pytest.approx(1.0, abs=0.02))]


def test_a_script_is_complete_when_only_the_hang_up_is_left():
    call = Call(Wait(wait=0.5), WaitFor(wait_for="hang_up"), HangUp(hang_up=True)).hear(
        1, voice=False
    )
    assert call.talk.complete


def test_a_sentence_is_said_to_its_end_when_time_is_skipped_in_it():
    call = Call(Say(say="Hello."), Say(say="Goodbye."))
    call.hear(0.5, voice=False)
    call.talk.skip(10)
    call.hear(3, voice=False)
    first, second = call.talk.taken
    assert (first.spoken, second.spoke) == pytest.approx((1.2, 1.2))
    assert call.loud(0.02, 0.5)
    assert call.loud(0.7, 2.1)


def test_a_step_does_not_fail_while_its_words_are_being_recognized():
    call = Call(WaitFor(wait_for="words", words=("hello",), within=1.0), Wait(wait=1))
    call.talk.recognizing = True
    call.hear(2, voice=False)
    assert call.talk.failure == ""
    call.talk.words.add("hello")
    call.hear(0.1, voice=False)
    assert len(call.talk.taken) == 2


def test_time_in_which_nothing_was_carried_counts():
    call = Call(Wait(wait=1.0), Wait(wait=9)).hear(0.5, voice=False)
    call.talk.skip(30)
    assert len(call.hear(0.1, voice=False).talk.taken) == 2
    assert len(call.talk.said) == len(call.talk.heard) == 60 * 640
