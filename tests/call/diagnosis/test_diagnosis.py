from dataclasses import replace

import msgspec
import pytest

from bridge.call.diagnosis.diagnosis import MAX_PROBLEMS, Diagnosis, DiagnosisSnapshot, Verdict
from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.observation import (
    ClientHints,
    LegObservation,
    Microphone,
    Speaker,
)
from bridge.call.diagnosis.problems import Code, Severity
from bridge.call.leg_state import SocketState, TransportState
from bridge.call.model import LegId, LegKind, LevelCounts, Party, State
from tests.call.diagnosis.scripted import FAR, Leg, ScriptedCall, joining, talking

SOCKET = replace(
    talking(LegKind.SOCKET)(0),
    statistics=replace(FAR(0).statistics, socket=SocketState("s16le", 16_000, 32_000)),
)


def pausing(leg: Leg) -> Leg:
    """The leg, which says nothing more."""

    def at(second: int) -> LegObservation:
        seen = leg(second)
        levels = LevelCounts(noted=10 * second, quiet=10 * second)
        received = replace(seen.statistics.received, level_dbov=-65.0, levels=levels)
        return replace(seen, statistics=replace(seen.statistics, received=received))

    return at


SILENT_FAR = talking(LegKind.WHATSAPP, Party.FAR, level=-127.0)
BLOCKED = talking(hints=ClientHints(speaker=Speaker.BLOCKED))


def test_a_good_call_is_watched_for_five_seconds_and_then_fine() -> None:
    call = ScriptedCall().run(4, talking(), FAR)
    assert call.diagnosis.verdict(4.0) is Verdict.WATCHING
    call.run(4, talking(), FAR)
    assert call.diagnosis.verdict(8.0) is Verdict.OK
    assert call.changes == []


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.03])
def test_a_minute_with_a_little_loss_raises_nothing(loss: float) -> None:
    assert ScriptedCall().run(60, talking(loss=loss), FAR).changes == []


def test_a_caller_in_a_quiet_room_who_says_nothing_raises_nothing() -> None:
    assert ScriptedCall().run(60, talking(level=-66.0), FAR).changes == []


def test_the_first_broken_hop_comes_first() -> None:
    call = ScriptedCall().run(10, talking(level=-127.0), SILENT_FAR, lag=0.2)
    assert call.codes == ["microphone_silent", "far_silent", "bridge_overloaded"]


def test_a_problem_is_raised_once_and_cleared_once() -> None:
    call = ScriptedCall().run(12, talking(), SILENT_FAR).run(5, talking(), FAR)
    assert [change.problem.until is None for _, change in call.changes] == [True, False]
    assert call.diagnosis.open == []


def test_a_problem_is_pending_until_it_is_raised() -> None:
    call = ScriptedCall().run(3, talking(), FAR)
    assert not call.diagnosis.pending
    seconds, waited = 0, False
    while not call.diagnosis.open:
        waited = call.diagnosis.pending
        call.run(1, talking(), SILENT_FAR)
        seconds += 1
    assert seconds > 1
    assert waited
    assert not call.diagnosis.pending


def test_a_problem_that_is_over_is_pending_until_it_is_cleared() -> None:
    call = ScriptedCall().run(10, talking(), FAR, lag=0.2)
    assert call.codes == ["bridge_overloaded"]
    assert not call.diagnosis.pending
    call.run(1, talking(), FAR)
    assert call.codes == ["bridge_overloaded"]
    assert call.diagnosis.pending
    call.run(20, talking(), FAR)
    assert call.codes == []
    assert not call.diagnosis.pending


def test_an_open_problem_tells_of_the_newest_finding() -> None:
    call = ScriptedCall().run(10, talking(), FAR, lag=0.2)
    [begun] = call.diagnosis.open
    [now] = call.run(1, talking(), FAR, lag=0.3).diagnosis.open
    assert (now.evidence, now.since) == ({"lagMs": 300.0}, begun.since)
    [over] = [change.problem for _, change in call.run(20, talking(), FAR).changes[1:]]
    assert over.evidence == {"lagMs": 300.0}


def test_a_notice_that_gets_worse_is_raised_again() -> None:
    call = ScriptedCall()
    quiet = talking(LegKind.WHATSAPP, Party.FAR, level=-65.0)
    call.run(8, lambda _: SOCKET, quiet).run(2, lambda _: SOCKET, FAR)
    assert len(call.changes) == 1
    call.run(10, lambda _: SOCKET, pausing(FAR))
    severities = [change.problem.severity for _, change in call.changes]
    assert severities == [Severity.NOTICE, Severity.BROKEN]


def test_a_program_that_pauses_between_what_it_plays_has_not_left_the_call() -> None:
    music = replace(talking(LegKind.PLAYBACK)(1), party=Party.SERVICE)
    call = ScriptedCall().run(5, lambda _: music, FAR).run(20, FAR)
    assert call.codes == []
    assert call.run(20, FAR).codes == ["nobody_joined"]


def test_a_leg_takes_its_problems_with_it() -> None:
    call = ScriptedCall().run(10, BLOCKED, FAR)
    assert call.codes == ["speaker_blocked"]
    call.run(1, talking(LegKind.SOCKET), FAR)
    assert call.codes == []


def test_the_verdict_of_an_ended_call_is_the_worst_that_was_seen() -> None:
    call = ScriptedCall().run(12, talking(), SILENT_FAR).run(5, talking(), FAR)
    assert call.diagnosis.verdict(17.0) is Verdict.OK
    call.diagnosis.end(17.0)
    assert call.diagnosis.verdict(17.0) is Verdict.PROBLEM


def test_the_end_clears_what_is_open() -> None:
    call = ScriptedCall().run(10, BLOCKED, FAR)
    assert [change.problem.until for change in call.diagnosis.end(10.0)] == [10.0]
    assert call.diagnosis.open == []


def test_an_incident_stays_until_it_is_resolved() -> None:
    call = ScriptedCall().run(2, talking(), FAR)
    call.diagnosis.report(Finding(Code.RECORDING_FAILED, None, {"reason": "disk_full"}), 2.0)
    assert call.run(30, talking(), FAR).codes == ["recording_failed"]
    assert len(call.diagnosis.resolve(Code.RECORDING_FAILED, None, 32.0)) == 1
    assert call.run(5, talking(), FAR).codes == []


def test_a_notice_is_no_problem_for_the_verdict() -> None:
    call = ScriptedCall().run(8, talking(), FAR, muted=True)
    assert call.codes == ["muted"]
    assert call.diagnosis.verdict(8.0) is Verdict.OK


def often_late(call: ScriptedCall) -> ScriptedCall:
    """Let the bridge be overloaded more often than problems are kept."""
    for _ in range(MAX_PROBLEMS + 10):
        call.run(3, talking(), FAR, lag=0.2).run(70, talking(), FAR)
    return call


def test_the_problems_that_are_kept_are_bounded() -> None:
    assert len(often_late(ScriptedCall()).diagnosis.problems) == MAX_PROBLEMS


def test_of_the_problems_that_are_over_the_worst_are_kept() -> None:
    call = often_late(ScriptedCall().run(12, talking(), SILENT_FAR).run(5, talking(), FAR))
    call.diagnosis.end(float(call.now))
    assert call.diagnosis.verdict(float(call.now)) is Verdict.PROBLEM


def test_a_problem_that_comes_and_goes_for_an_hour_changes_once_a_minute_at_most() -> None:
    call = ScriptedCall()
    for _ in range(900):
        call.run(2, BLOCKED, FAR).run(2, talking(), FAR)
    assert len(call.changes) < 20
    later = call.run(120, talking(), FAR)
    assert later.codes == []


def test_a_problem_that_was_reported_thousands_of_times_is_cleared_within_a_minute() -> None:
    call = ScriptedCall()
    for _ in range(2000):
        call.diagnosis.report(Finding(Code.HELD), 0.0)
        call.diagnosis.resolve(Code.HELD, None, 0.0)
    call.run(2, talking(), FAR, state=State.HELD).run(62, talking(), FAR)
    assert call.codes == []


def test_the_severity_of_an_open_problem_never_falls() -> None:
    call = ScriptedCall()
    call.run(2, lambda _: SOCKET, FAR).run(12, lambda _: SOCKET, pausing(FAR))
    call.run(1, lambda _: SOCKET, FAR)
    assert [problem.severity for problem in call.diagnosis.open] == [Severity.BROKEN]


def test_of_a_notice_only_the_last_is_kept() -> None:
    call = ScriptedCall()
    for _ in range(5):
        call.run(1, talking(), FAR, state=State.HELD).run(3, talking(), FAR)
    assert [one.since for one in call.diagnosis.problems] == [16.0]


FAILED = joining(TransportState(described=True, ice="failed", failure="nothing_received"))


def test_why_a_leg_never_connected_stays_until_another_one_connects() -> None:
    call = ScriptedCall().run(1, FAILED, FAR)
    (change,) = call.diagnosis.depart(FAILED(1), 1.0)
    assert (change.problem.code, change.problem.hop) == (Code.ICE_NO_CHECKS, "browser.network")
    assert "ice_no_checks" in call.run(20, FAR).codes
    other = talking(leg_id=LegId("another"))
    assert call.run(4, other, FAR).codes == []


def test_a_leg_that_was_connected_takes_nothing_with_it() -> None:
    call = ScriptedCall().run(5, talking(), FAR)
    assert call.diagnosis.depart(talking()(5), 5.0) == []


def test_only_the_last_leg_that_failed_is_kept() -> None:
    call = ScriptedCall()
    for number in range(20):
        call.diagnosis.depart(replace(FAILED(1), leg_id=LegId(f"leg_{number}")), float(number))
        call.run(1, FAR)
    assert call.codes.count("ice_no_checks") == 1


def test_what_the_browsers_filters_remove_is_said_and_is_no_broken_call() -> None:
    hints = ClientHints(microphone=Microphone.LIVE, microphone_dbov=-27.0, microphone_filtered=True)
    call = ScriptedCall().run(6, talking(level=-76.0, hints=hints), FAR)
    (problem,) = call.diagnosis.open
    assert problem.summary == (
        "The browser sends silence: its filters leave -76 dBov of a microphone that is at -27 dBov."
    )
    assert (problem.severity, call.diagnosis.verdict(6.0)) == (Severity.NOTICE, Verdict.OK)
    assert problem.fix.startswith("Echo cancellation and noise suppression take")


def move(call: ScriptedCall) -> None:
    """Let another process go on with the diagnosis."""
    data = msgspec.msgpack.encode(call.diagnosis.snapshot())
    snapshot = msgspec.msgpack.decode(data, type=DiagnosisSnapshot)
    call.diagnosis = Diagnosis.restored(snapshot, float(call.now))


def test_problems_go_on_in_another_process_and_are_cleared_there_once() -> None:
    call = ScriptedCall().run(12, BLOCKED, SILENT_FAR)
    open_ = call.diagnosis.open
    move(call)
    assert call.diagnosis.open == open_
    changes = len(call.changes)
    call.run(5, BLOCKED, SILENT_FAR)
    assert len(call.changes) == changes
    call.run(8, talking(), FAR)
    assert [change.problem.until is None for _, change in call.changes[changes:]] == [False] * 2
    assert {one.code for one in call.diagnosis.problems} == {one.code for one in open_}


def test_a_good_call_raises_nothing_in_another_process() -> None:
    call = ScriptedCall().run(20, talking(), FAR)
    move(call)
    call.run(20, talking(), FAR)
    assert call.changes == []
    assert call.diagnosis.verdict(float(call.now)) is Verdict.OK


def test_what_was_told_of_a_call_before_stays_in_its_verdict() -> None:
    call = ScriptedCall().run(12, talking(), SILENT_FAR).run(5, talking(), FAR)
    move(call)
    call.diagnosis.end(float(call.now))
    assert call.diagnosis.verdict(float(call.now)) is Verdict.PROBLEM


def test_a_voice_that_announces_something_in_the_far_partys_place_is_no_problem() -> None:
    call = ScriptedCall().run(12, talking(), SILENT_FAR, announced_until=12.0)
    assert call.changes == []
    assert call.run(12, talking(), SILENT_FAR).codes == ["far_silent"]


def test_nobody_has_to_answer_what_is_announced() -> None:
    severity = {}
    for until in (0.0, 5.0):
        call = ScriptedCall().run(5, lambda _: SOCKET, FAR, announced_until=until)
        call.run(12, lambda _: SOCKET, pausing(FAR))
        severity[until] = {one.code: one.severity for one in call.diagnosis.open}
    assert severity[0.0][Code.SOCKET_SENDS_NOTHING] is Severity.BROKEN
    assert severity[5.0].get(Code.SOCKET_SENDS_NOTHING) is not Severity.BROKEN
