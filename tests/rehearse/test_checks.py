"""Checks of calls that are over, made up frame by frame."""

from typing import Any

import msgspec
import numpy as np
import pytest

from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE, SILENCE
from bridge.rehearse.background import Background
from bridge.rehearse.checks import checks
from bridge.rehearse.marks import marks
from bridge.rehearse.recorded import Recorded, Told
from bridge.rehearse.result import Check, Mark, MarkKind
from bridge.rehearse.scenario import (
    Backchannel,
    BargeIn,
    Expect,
    Say,
    Scenario,
    Step,
    StepExpect,
    Wait,
)
from bridge.rehearse.talk import Cue, Talk

VOICE = (
    (8000 * np.sin(2 * np.pi * 300 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE))
    .astype("<i2")
    .tobytes()
)


def recorded(
    steps: list[Step],
    bot: list[tuple[float, float]],
    *,
    lasts: float = 6.0,
    events: tuple[Told, ...] = (),
    by: str = "caller",
    **expect: Any,
) -> Recorded:
    """A call whose caller says a second of voice in each step, and whose bot speaks in some intervals."""
    cues = [Cue(step, VOICE * 50 if not isinstance(step, Wait) else b"") for step in steps]
    talk = Talk(
        [*cues, Cue(Wait(wait=60))],
        Background(-23.0, 1),
        press=lambda _: None,
        hang_up=lambda: None,
    )
    for frame in range(round(lasts * 50)):
        speaks = any(began <= frame / 50 < ended for began, ended in bot)
        talk.tick(VOICE if speaks else SILENCE)
    talk.close()
    scenario = Scenario(steps=(*steps, Wait(wait=60)), expect=msgspec.convert(expect, Expect))
    return Recorded(scenario, talk, events, by)


def result(call: Recorded, name: str) -> Check:
    [found] = [check for check in checks(call) if check.name == name]
    return found


def turn(asked: float, wait: float) -> Told:
    return Told("turn", asked, {"asked": asked, "waitMs": 1000 * wait})


QUESTION = Say(say="x", expect=StepExpect(wait=1.0))


@pytest.mark.parametrize(("answer", "passed"), [(1.9, True), (2.6, False)])
def test_an_answer_in_time_is_told_from_a_late_one_by_the_recording(answer: float, passed: bool):
    assert result(recorded([QUESTION], [(answer, 3.0)]), "step 1 wait").passed is passed


def test_the_turn_says_how_long_the_caller_waited():
    check = result(recorded([QUESTION], [(1.9, 3.0)], events=(turn(1.0, 1.7),)), "step 1 wait")
    assert (check.passed, check.seen) == (False, "1.70 s")


def test_a_question_without_an_answer_fails():
    assert result(recorded([QUESTION], []), "step 1 wait").seen == "no answer"


@pytest.mark.parametrize(("stops", "passed"), [(2.3, True), (3.5, False)])
def test_an_interrupted_bot_has_to_stop(stops: float, passed: bool):
    step = BargeIn(barge_in="x", after=1.0, expect=StepExpect(interrupted=0.5))
    assert result(recorded([step], [(1.0, stops)]), "step 1 interrupted").passed is passed


@pytest.mark.parametrize(("stops", "passed"), [(5.0, True), (2.3, False)])
def test_a_bot_has_to_go_on_after_a_backchannel(stops: float, passed: bool):
    step = Backchannel(backchannel="x", after=1.0, expect=StepExpect(goes_on=True))
    assert result(recorded([step], [(1.0, stops)]), "step 1 goes_on").passed is passed


def test_a_bot_that_speaks_when_it_should_be_silent_fails():
    step = Wait(wait=2.0, expect=StepExpect(silent=True))
    assert not result(recorded([step], [(1.0, 1.5)]), "step 1 silent").passed


@pytest.mark.parametrize(
    ("bot", "expect", "name", "passed"),
    [
        ([(0.5, 1.0)], {"greeting": 1.0}, "greeting", True),
        ([(1.5, 2.0)], {"greeting": 1.0}, "greeting", False),
        ([], {"greeting": 1.0}, "greeting", False),
        ([(2.0, 3.0)], {"level": [-20, -10]}, "level", True),
        ([(2.0, 3.0)], {"level": [-60, -30]}, "level", False),
        ([], {"level": [-60, 0]}, "level", False),
        ([(2.0, 3.0)], {"clipping": 0}, "clipping", True),
        ([(2.0, 3.0)], {"hang_up": "caller"}, "hang_up", True),
        ([(2.0, 3.0)], {"hang_up": "bot"}, "hang_up", False),
        ([(2.0, 3.0)], {"hang_up": "caller", "hang_up_within": 3.5}, "hang_up_within", True),
        ([(2.0, 3.0)], {"hang_up": "caller", "hang_up_within": 2.5}, "hang_up_within", False),
        ([(2.0, 3.0)], {"seconds": 5}, "seconds", False),
        ([(2.0, 3.0)], {"digits": "12"}, "digits", False),
        ([(2.0, 3.0)], {"disclosure": True}, "disclosure", False),
        ([(2.0, 3.0)], {"turns": 1}, "turns", False),
    ],
)  # fmt: skip
def test_what_is_expected_of_the_whole_call_is_checked(
    bot: list[tuple[float, float]], expect: dict[str, Any], name: str, passed: bool
):
    steps: list[Step] = [Wait(wait=3.0), Say(say="x")]
    assert result(recorded(steps, bot, **expect), name).passed is passed


@pytest.mark.parametrize(("began", "passed"), [(1.2, True), (0.4, False)])
def test_a_bot_that_speaks_while_the_caller_does_overlaps(began: float, passed: bool):
    assert result(recorded([Say(say="x")], [(began, 2.0)], overlap=0.2), "overlap").passed is passed


def disclosure(began: float, *, interrupted: bool = False) -> Told:
    data = {"began": began, "durationMs": 1000, "interrupted": interrupted}
    return Told("disclosure.spoken", began + 1.0, data)


@pytest.mark.parametrize(
    ("bot", "event", "passed"),
    [
        ([(0.5, 1.5), (1.8, 3.0)], disclosure(0.5), True),
        ([(0.5, 3.0)], disclosure(0.5), True),
        ([(0.1, 0.4), (0.8, 1.8)], disclosure(0.8), False),
        ([(0.1, 0.4), (0.8, 1.8)], disclosure(0.8, interrupted=True), True),
        ([(0.1, 1.6), (2.0, 3.0)], disclosure(2.0, interrupted=True), False),
    ],
    ids=["first", "without a pause", "late", "said again", "said again after the bot"],
)
def test_the_disclosure_has_to_be_over_before_the_bot_is_heard(
    bot: list[tuple[float, float]], event: Told, passed: bool
):
    call = recorded([Wait(wait=3)], bot, events=(event,), disclosure=True)
    assert result(call, "disclosure").passed is passed


def test_words_of_a_disclosure_are_looked_for_in_what_is_heard_first():
    call = recorded([Wait(wait=3)], [(0.5, 1.5), (2.5, 3.0)], disclosure=["computer"])
    [((begin, end), phrases)] = call.wanted().items()
    assert (begin, end, phrases) == (0.0, pytest.approx(1.5, abs=0.05), {"computer"})


def test_a_filler_is_heard_but_is_no_answer():
    call = recorded([QUESTION], [])
    call.talk.fillers.append((1.5, 2.0))
    assert result(call, "step 1 wait").seen == "no answer"
    assert Mark(MarkKind.BOT, 1.5, 2.0, "filler") in marks(call)


@pytest.mark.parametrize(("kind", "passed"), [("interruption", True), ("backchannel", False)])
def test_what_the_bridge_takes_an_overlap_for_is_checked(kind: str, passed: bool):
    step = BargeIn(barge_in="x", after=1.0, expect=StepExpect(kind="interruption"))
    told = Told("overlap.ended", 3.0, {"kind": kind, "began": 2.1})
    assert result(recorded([step], [(1.0, 3.0)], events=(told,)), "step 1 kind").passed is passed


def test_an_overlap_that_did_not_come_fails():
    step = BargeIn(barge_in="x", after=1.0, expect=StepExpect(kind="interruption"))
    assert result(recorded([step], [(1.0, 3.0)]), "step 1 kind").seen == "no overlap"


@pytest.mark.parametrize(("code", "passed"), [("bot_quiet", True), ("bot_clips", False)])
def test_a_fault_that_the_diagnosis_has_to_find_is_checked(code: str, passed: bool):
    events = (Told("call.problem", 2.0, {"code": code}),)
    call = recorded([Say(say="x")], [], events=events, diagnosed=["bot_quiet"])
    assert result(call, "diagnosed").passed is passed


def test_a_barge_in_is_no_overlap():
    assert result(recorded([BargeIn(barge_in="x")], [(0.5, 3.0)], overlap=0.2), "overlap").passed


def test_questions_that_were_answered_are_counted():
    steps: list[Step] = [Say(say="x"), Wait(wait=2), Say(say="y")]
    call = recorded(steps, [(0.1, 0.4), (1.5, 2.0)], turns=1, wait=0.6)
    assert result(call, "turns").passed
    assert result(call, "wait").passed


def test_problems_that_are_not_allowed_fail():
    events = (Told("call.problem", 2.0, {"code": "far_loss"}),)
    call = recorded([Say(say="x")], [], events=events, problems=["far_jitter"])
    assert (result(call, "problems").passed, result(call, "problems").at) == (False, 2.0)


def test_load_of_the_machine_is_no_problem_of_the_bot():
    events = (Told("call.problem", 2.0, {"code": "bridge_overloaded"}),)
    assert result(recorded([Say(say="x")], [], events=events, problems=[]), "problems").passed


def test_words_are_looked_for_from_the_step_to_the_next_question():
    step = Say(say="x", expect=StepExpect(heard=("nine",)))
    call = recorded([step, Say(say="y")], [(2.5, 3.0)])
    [(where, phrases)] = call.wanted().items()
    assert (where, phrases) == (pytest.approx((0.0, 1.0)), {"nine"})
    call.words[where] = frozenset({"nine"})
    assert result(call, "step 1 heard").passed


def test_a_word_that_must_not_be_said_fails():
    call = recorded([Say(say="x")], [(1.5, 2.0)], not_heard=["card"])
    call.words[call.whole] = frozenset({"card"})
    assert result(call, "not_heard").seen == '"card"'


def test_a_bot_that_hangs_up_in_the_middle_fails():
    check = result(recorded([Say(say="x"), Wait(wait=9), Say(say="y")], [], by="bot"), "script")
    assert check.seen == "the bot ended the call in step 2 of 4"


def test_both_voices_and_their_overlap_are_marked():
    found = marks(recorded([Say(say="x")], [(0.5, 2.0)]))
    kinds = [mark.kind for mark in found]
    assert kinds == [MarkKind.CALLER, MarkKind.OVERLAP, MarkKind.BOT, MarkKind.HANGUP]
