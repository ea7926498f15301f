"""What the demonstration answers."""

from dataclasses import replace

import pytest

from bridge.agent.answers import CallSituation, HeardQuality, answer
from bridge.agent.questions import Question
from bridge.call.diagnosis.diagnosis import Problem, Verdict
from bridge.call.diagnosis.problems import Code, Hop, Severity

GOOD = CallSituation(
    line="demo",
    line_number="+15550109000",
    seconds=75.2,
    verdict=Verdict.OK,
    codec="opus/48000/2",
    level_dbov=-23.4,
    round_trip_seconds=0.0124,
    from_caller=HeardQuality(4.38, 0.0),
    to_caller=HeardQuality(4.27, 0.0),
)


def problem(code=Code.NETWORK_LOSSY, severity=Severity.DEGRADED):
    summary = "A tenth of the packets is lost."
    return Problem(code, Hop.NETWORK, None, severity, 0.0, None, summary, "Use a cable.", {})


@pytest.mark.parametrize("question", Question)
@pytest.mark.parametrize("call", [CallSituation(), GOOD])
def test_every_question_has_an_answer_at_any_time(question, call):
    said = answer(question, call)
    assert said.endswith((".", "?"))
    assert "None" not in said
    assert "nan" not in said


def test_a_good_call_is_called_good_by_the_worse_direction():
    assert answer(Question.QUALITY, GOOD) == (
        "This call is good. Its opinion score is 4.3, where 1 is bad and 4.4 is the best. "
        "No packets are lost. The round trip to you takes 12 milliseconds."
    )


@pytest.mark.parametrize(("mos", "word"), [(4.0, "good"), (3.7, "fair"), (2.1, "poor")])
def test_the_word_for_a_call_follows_its_opinion_score(mos, word):
    call = replace(GOOD, to_caller=HeardQuality(mos, 0.02))
    assert answer(Question.QUALITY, call).startswith(f"This call is {word}.")


def test_a_call_that_has_just_begun_is_not_judged():
    assert "Ask me again" in answer(Question.QUALITY, CallSituation())
    assert "not watched" in answer(Question.PROBLEM, CallSituation())


@pytest.mark.parametrize("question", [Question.QUALITY, Question.PROBLEM, Question.SILENCE])
def test_a_problem_of_the_diagnosis_is_told_with_what_to_do(question):
    said = answer(question, replace(GOOD, verdict=Verdict.PROBLEM, problems=(problem(),)))
    assert "There is one problem. A tenth of the packets is lost. Use a cable." in said


def test_of_several_problems_the_worst_is_told():
    broken = replace(problem(Code.FAR_SILENT, Severity.BROKEN), summary="Nobody is heard.")
    said = answer(Question.PROBLEM, replace(GOOD, problems=(broken, problem())))
    assert said == "There are 2 problems. The worst: Nobody is heard. Use a cable."


def test_what_somebody_did_on_purpose_is_no_problem():
    held = problem(Code.HELD, Severity.NOTICE)
    assert "Nothing is wrong" in answer(Question.PROBLEM, replace(GOOD, problems=(held,)))


def test_lost_packets_are_told_for_each_direction():
    call = replace(GOOD, from_caller=HeardQuality(3.0, 0.123), to_caller=HeardQuality(4.0, 0.004))
    assert answer(Question.LOSS, call) == (
        "12 percent of your packets are lost, and 0.4 percent of mine."
    )


def test_who_hears_nothing_is_told_that_sound_arrives():
    assert "100 percent of its packets reach you" in answer(Question.SILENCE, GOOD)


@pytest.mark.parametrize(("level", "word"), [(-20.0, "well"), (-52.0, "quiet")])
def test_a_caller_is_told_how_loud_they_are(level, word):
    said = answer(Question.HEARD, replace(GOOD, level_dbov=level))
    assert word in said
    assert f"{-level:.0f} decibels" in said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.2, "1 second"), (42.0, "42 seconds"), (61.0, "1 minute and 1 second")],
)
def test_a_duration_is_told_in_minutes_and_seconds(seconds, said):
    assert (
        answer(Question.DURATION, replace(GOOD, seconds=seconds)) == f"We have talked for {said}."
    )


@pytest.mark.parametrize(("calls", "said"), [(1, "only call"), (3, "3 calls")])
def test_the_calls_of_the_bridge_are_counted(calls, said):
    assert said in answer(Question.CALLS, replace(GOOD, calls=calls))


def test_numbers_are_told_digit_by_digit():
    said = answer(Question.NUMBER, replace(GOOD, caller="15550100008"))
    assert "1 5 5 5 0 1 0 9 0 0 0" in said
    assert "1 5 5 5 0 1 0 0 0 0 8" in said
    assert "no number" in answer(Question.NUMBER, GOOD)


@pytest.mark.parametrize(("recorded", "said"), [(True, "is being"), (False, "is not being")])
def test_a_caller_is_told_whether_they_are_recorded(recorded, said):
    assert said in answer(Question.RECORDING, replace(GOOD, recorded=recorded))


def test_the_codec_is_told_by_its_name():
    assert answer(Question.CODEC, GOOD) == "We use the codec opus."
