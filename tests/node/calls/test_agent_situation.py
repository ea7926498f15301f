"""What the demonstration's agent is told about its call."""

import pytest

from bridge.call.diagnosis.diagnosis import Verdict
from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.problems import Code
from bridge.call.model import LineName
from bridge.node.calls.agent import situation_of
from tests.support.inprocess import running, settings
from tests.support.waiting import until

LINE, SILENT = LineName("demo"), "15550100008"


@pytest.fixture
async def talking():
    """A bridge, and the call of a simulated contact on it."""
    async with running(settings()) as client:
        call_id = (await client.data("/simulator/incoming", {"from": SILENT}))["callId"]
        await client.data("/call/answer", {"callId": call_id})
        manager = client.bridge.manager
        yield manager, manager.live(LINE, call_id)


async def test_the_caller_of_a_call_is_its_far_party(talking):
    manager, runner = talking
    await until(lambda: manager.quality.legs(runner.facts.call_id))
    call = situation_of(manager, runner.facts.call_id)
    assert (call.line, call.line_number) == ("demo", "+15550109000")
    assert call.caller.endswith(SILENT)
    assert call.calls == 1
    assert call.seconds > 0


async def test_a_call_that_has_just_begun_has_no_figures(talking):
    manager, runner = talking
    call = situation_of(manager, runner.facts.call_id)
    assert call.verdict is Verdict.WATCHING
    assert call.problems == ()
    assert call.from_caller.mos is call.to_caller.mos is None
    assert not call.recorded


async def test_whoever_asks_is_not_told_that_they_are_silent(talking):
    manager, runner = talking
    [caller] = runner.figures()
    await until(lambda: manager.diagnoses.find(runner.facts.call_id))
    diagnosis = manager.diagnoses.find(runner.facts.call_id).diagnosis
    evidence = {"levelDbov": -112.0, "lastPacketSeconds": 3.0}
    for code in (Code.FAR_SILENT, Code.FAR_SENDS_NOTHING):
        diagnosis.report(Finding(code, caller.leg_id, evidence), 1.0)
    call = situation_of(manager, runner.facts.call_id)
    codes = {problem.code for problem in call.problems}
    assert Code.FAR_SENDS_NOTHING in codes
    assert Code.FAR_SILENT not in codes
