"""Faults of bots: the right code comes first, within 5 s of when it is a fault, and is cleared by what its mend says."""

import msgspec
import pytest

from bridge.call.diagnosis.bot_mends import BOT_MENDS
from bridge.call.diagnosis.codes import Code, Hop
from bridge.call.diagnosis.diagnosis import Diagnosis, DiagnosisSnapshot
from bridge.call.diagnosis.observation import BotKind
from tests.call.diagnosis.bot_faults import CASES, FAULTS, Fault
from tests.call.diagnosis.stub_bot import BotCall, StubBot, Talk, changed

WITHIN = 5.0
QUICK = (Code.BOT_NOT_CONNECTED, Code.BOT_WRONG_FORMAT, Code.BOT_FALLS_BEHIND, Code.BOT_CLIPS)
NEVER = Talk(spans=[(60.0, 61.0)])


def _cases() -> list[object]:
    """All; `make test` runs the first of a few."""
    quick = [next(fault for fault in FAULTS if fault.code is code) for code in QUICK]
    return [
        pytest.param(
            fault,
            kind,
            id=f"{fault.code.value} {number} {kind.value}",
            marks=() if fault in quick and kind is fault.kinds[0] else pytest.mark.full,
        )
        for number, fault in enumerate(FAULTS)
        for kind in fault.kinds
    ]


def _faulty(fault: Fault, kind: BotKind) -> BotCall:
    return BotCall(StubBot(kind, **fault.wrong), fault.talk, rings=fault.rings)


@pytest.mark.parametrize(("fault", "kind"), _cases())
def test_the_right_code_comes_first_within_five_seconds(fault: Fault, kind: BotKind) -> None:
    call = _faulty(fault, kind).run(fault.onset + WITHIN)
    assert call.first, call.diagnosis.problems
    assert call.first[0] == fault.code.value


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.mended], ids=lambda one: one.code)
@pytest.mark.full
def test_what_the_mend_says_ends_the_problem(fault: Fault) -> None:
    call = _faulty(fault, fault.kinds[0]).run(fault.onset + WITHIN)
    assert fault.code.value in call.first
    right = StubBot(fault.kinds[0])
    call.bot = changed(call.bot, **{name: getattr(right, name) for name in fault.wrong})
    call.talk = Talk()
    call.run(24.0)
    assert fault.code.value not in call.codes


@pytest.mark.parametrize("code", [Code.BOT_WRONG_RATE, Code.BOT_FALLS_BEHIND])
@pytest.mark.full
def test_a_bridge_that_runs_late_does_not_blame_the_bots_clock(code: Code) -> None:
    fault = next(fault for fault in FAULTS if fault.code is code)
    call = _faulty(fault, fault.kinds[0])
    call.lag = 0.2
    call.run(fault.onset + WITHIN)
    assert code.value not in call.codes
    assert call.first[0] == "bridge_overloaded"
    call.lag = 0.0
    call.run(2 * WITHIN + 5.0)
    assert code.value in call.first


def test_there_are_forty_faults_and_more_than_fourteen_codes() -> None:
    assert len(CASES) >= 40
    assert len({fault.code for fault in FAULTS}) >= 14


def test_the_same_bot_without_the_fault_has_no_problem() -> None:
    assert BotCall(StubBot(BotKind.TWILIO)).run(12.0).changes == []


def test_words_that_are_held_and_heard_late_are_a_notice_for_a_while() -> None:
    call = BotCall(StubBot(BotKind.SOCKET), NEVER, rings=4.0).run(6.0)
    [problem] = call.diagnosis.open
    assert (problem.code, problem.severity.word) == (Code.BOT_SPOKE_EARLY, "notice")
    assert problem.evidence["lateSeconds"] == pytest.approx(2.5, abs=0.2)
    assert problem.evidence["lostSeconds"] == 0
    assert not call.run(12.0).diagnosis.open


def test_a_bot_that_is_held_while_the_caller_is_told_is_not_one_that_nobody_hears() -> None:
    call = BotCall(StubBot(BotKind.SOCKET, told_at=6.0), NEVER).run(8.0)
    assert {one.problem.code for _, one in call.changes} == {Code.BOT_SPOKE_EARLY}
    assert call.codes == []


def test_what_is_held_for_a_moment_is_no_problem() -> None:
    assert BotCall(StubBot(BotKind.SOCKET), NEVER, rings=1.8).run(6.0).changes == []


def test_a_problem_of_a_bot_lies_at_what_it_is_connected_as() -> None:
    quiet = {"gain": 0.02, "speech_seconds": 5.0}
    for kind, hop in ((BotKind.SOCKET, Hop.SOCKET), (BotKind.AGENT, Hop.AGENT)):
        [problem] = BotCall(StubBot(kind, **quiet), NEVER).run(7.0).diagnosis.open  # type: ignore[arg-type]
        assert problem.hop is hop


@pytest.mark.full
def test_what_is_to_be_done_depends_on_the_kind_of_bot() -> None:
    fixes = {
        BotCall(StubBot(kind, answers=False)).run(16.0).diagnosis.open[0].fix
        for kind in (BotKind.AGENT, BotKind.TWILIO, BotKind.REALTIME)
    }
    assert len(fixes) == 3


@pytest.mark.full
def test_a_caller_who_asks_again_makes_a_deaf_bot_broken_sooner() -> None:
    talk = Talk(spans=[(5.0, 6.0), (8.5, 9.5), (12.0, 13.0)])
    call = BotCall(StubBot(BotKind.TWILIO, answers=False), talk).run(16.0)
    [problem] = call.diagnosis.open
    assert (problem.code, problem.severity.word) == (Code.BOT_NO_ANSWER, "broken")
    assert problem.evidence["turns"] == 3


def test_every_mend_can_be_written() -> None:
    evidence = {
        "expected": "mulaw",
        "expectedHertz": 8000,
        "ignoredMessages": 3,
    }
    for texts in BOT_MENDS.values():
        for text in texts.values():
            written = text.format_map(evidence)
            assert written[0].isupper() or written[0].isdigit()
            assert written.endswith((".", "audio."))


@pytest.mark.full
def test_another_process_goes_on_with_what_was_found() -> None:
    call = BotCall(StubBot(BotKind.TWILIO, answers=False)).run(16.0)
    packed = msgspec.msgpack.encode(call.diagnosis.snapshot())
    known = Diagnosis.restored(msgspec.msgpack.decode(packed, type=DiagnosisSnapshot), 16.0)
    assert [one.code for one in known.open] == [Code.BOT_NO_ANSWER]
