import pytest

from bridge.telemetry.call_events import MAX_CALLS, MAX_OF_TYPE, CallEvents
from tests.support.published import AT, call_event

LEG = "leg_1"


def kept(kind, /, **data):
    noted = CallEvents()
    noted.note("00AB", call_event(kind, **data))
    [event] = noted.take("00AB")
    assert (event.name, event.at) == (kind, AT)
    return event.attributes


@pytest.mark.parametrize("kind", ["call.problem", "call.problem_cleared"])
def test_a_problem_is_kept_with_its_code_and_without_its_texts(kind):
    data = {"code": "bot_silent", "hop": "bot", "severity": "error", "legID": LEG}
    assert kept(kind, summary="canary", fix="canary", **data) == {
        "bridge.problem.code": "bot_silent",
        "bridge.problem.hop": "bot",
        "bridge.problem.severity": "error",
        "bridge.leg.id": LEG,
    }


def test_an_overlap_is_kept_with_its_kind_and_how_long_it_lasted():
    data = {"legID": LEG, "bot": "agent", "kind": "backchannel", "startedAt": "2026-03-01"}
    assert kept("overlap.ended", speechMs=300, overlapMs=250, interrupted=False, **data) == {
        "bridge.leg.id": LEG,
        "gen_ai.agent.name": "agent",
        "bridge.overlap.kind": "backchannel",
        "bridge.overlap.speech_ms": 300,
        "bridge.overlap.overlap_ms": 250,
        "bridge.overlap.interrupted": False,
    }


def test_a_disclosure_is_kept_without_what_was_said():
    said = {"language": "de", "durationMs": 2000, "interrupted": True}
    assert kept("disclosure.spoken", asset="canary", textHash="canary", parties=["a"], **said) == {
        "bridge.disclosure.language": "de",
        "bridge.disclosure.duration_ms": 2000,
        "bridge.disclosure.interrupted": True,
    }
    failed = kept("disclosure.failed", reason="timeout", machines=["a"])
    assert failed == {"bridge.disclosure.reason": "timeout"}


def test_of_each_type_the_first_are_kept():
    noted = CallEvents()
    for _ in range(3 * MAX_OF_TYPE):
        noted.note("00AB", call_event("overlap.ended", kind="noise"))
    noted.note("00AB", call_event("call.problem", code="bot_silent"))
    assert len(noted.take("00AB")) == MAX_OF_TYPE + 1


def test_what_is_taken_is_forgotten_and_so_are_the_calls_that_end_elsewhere():
    noted = CallEvents()
    for number in range(MAX_CALLS + 1):
        noted.note(str(number), call_event("overlap.ended", kind="noise"))
    assert noted.take("0") == ()
    assert len(noted.take("1")) == 1
    assert noted.take("1") == ()
