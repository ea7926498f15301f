import asyncio
import logging
from datetime import UTC, datetime

import pytest

from bridge.call.diagnosis.observation import ClientHints, Speaker
from bridge.call.events import LegEnded, MuteRequested
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import CallFacts, CallId, Direction, EndReason, LegId, LegKind, LineName
from bridge.errors import LegNotFound, RateLimited, WhatsAppRefused
from bridge.metrics.registry import Metrics
from bridge.node.clock import Clock
from bridge.node.diagnosis.diagnosis import DiagnosisLog
from bridge.node.publisher import Publisher, new_event
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType

LINE = LineName("one")


class Call:
    """A call without legs, its diagnosis and what is published of it."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        metrics = Metrics(version="0")
        self.log = DiagnosisLog(metrics.problems)
        self.now = loop.time()
        self.events: list[CallEvent] = []
        publisher = Publisher()
        publisher.subscribe(self.events.append)
        self.runner = CallRunner(
            CallFacts(CallId("00"), LINE, "1", datetime.now(UTC)),
            CallMachine(direction=Direction.OUTBOUND, limits=CallLimits(60, 60, 60), now=self.now),
            clock=Clock(loop),
            metrics=metrics,
            publisher=publisher,
            on_ended=lambda runner: None,
        )

    def happens(self, kind, **data):
        """Let a service publish an event."""
        self.log.note_event(self.runner, new_event(kind, LINE, None, data), self.now)

    @property
    def types(self):
        return [event.type for event in self.events]


async def test_an_incident_is_published_when_it_begins_and_when_it_is_over():
    call = Call()
    call.runner.announce()
    call.happens(EventType.RECORDING_FAILED, reason="disk_full")
    call.happens(EventType.RECORDING_STARTED)
    assert call.types[-2:] == ["call.problem", "call.problem_cleared"]


async def test_nothing_is_published_of_a_call_that_its_provider_has_not_accepted():
    call = Call()
    call.happens(EventType.RECORDING_FAILED, reason="disk_full")
    assert call.types == []


async def test_a_problem_from_before_the_announcement_is_published_after_it():
    call = Call()
    call.happens(EventType.RECORDING_FAILED, reason="disk_full")
    call.runner.announce()
    call.log.observe(call.runner, [], call.now)
    call.log.observe(call.runner, [], call.now + 1)
    assert call.types[-1:] == ["call.problem"]
    assert call.types.count("call.problem") == 1


async def test_the_end_of_a_problem_that_was_never_published_is_not_published():
    call = Call()
    call.happens(EventType.RECORDING_FAILED, reason="disk_full")
    call.runner.announce()
    call.happens(EventType.RECORDING_STARTED)
    assert "call.problem_cleared" not in call.types


async def test_a_notice_is_no_event():
    call = Call()
    call.runner.announce()
    call.runner.dispatch(MuteRequested(muted=True))
    call.log.observe(call.runner, [], call.now)
    assert "call.problem" not in call.types


async def test_the_end_of_a_call_is_no_event_of_its_problems():
    call = Call()
    call.runner.announce()
    call.happens(EventType.RECORDING_FAILED, reason="disk_full")
    call.log.end(call.runner, call.now + 1)
    assert call.types[-1] == "call.problem"
    found = call.log.find(CallId("00"))
    assert found is not None
    assert found.diagnosis.open == []


async def test_a_problem_is_one_line_in_the_log_with_its_code(caplog):
    call = Call()
    with caplog.at_level(logging.INFO):
        call.happens(EventType.RECORDING_FAILED, reason="disk_full")
        call.happens(EventType.RECORDING_FAILED, reason="disk_full")
    (record,) = [one for one in caplog.records if one.message == "call.problem"]
    assert record.code == "recording_failed"


async def test_a_report_about_a_leg_that_is_not_in_the_call_is_refused():
    call = Call()
    call.log.observe(call.runner, [], call.now)
    blocked = ClientHints(speaker=Speaker.BLOCKED)
    with pytest.raises(LegNotFound):
        call.log.hint(call.runner, LegId("leg_other"), blocked, call.now)
    found = call.log.find(CallId("00"))
    assert found is not None
    assert found.reports == {}


class Browser:
    """A leg of which only the kind matters."""

    kind = LegKind.WEBRTC


async def test_a_leg_may_report_twice_a_second(monkeypatch):
    call = Call()
    monkeypatch.setattr(call.runner, "leg", lambda _: Browser())
    leg_id, hints = LegId("leg_one"), ClientHints()
    for at in (0.0, 0.5, 1.0, 1.5):
        call.log.hint(call.runner, leg_id, hints, call.now + at)
    with pytest.raises(RateLimited):
        call.log.hint(call.runner, leg_id, hints, call.now + 1.9)
    call.log.hint(call.runner, leg_id, hints, call.now + 2.0)


async def test_a_call_that_is_no_longer_kept_has_no_diagnosis():
    call = Call()
    call.happens(EventType.RECORDING_FAILED, reason="disk_full")
    call.log.forget(CallId("00"))
    assert call.log.find(CallId("00")) is None


async def test_a_call_that_its_provider_refused_says_what_to_do():
    call = Call()
    error = WhatsAppRefused("the access token has expired", meta_code=190)
    call.runner.refused = LegEnded(LegId("leg"), EndReason.FAILED, error)
    call.log.end(call.runner, call.now)
    found = call.log.find(CallId("00"))
    assert found is not None
    (problem,) = found.diagnosis.problems
    assert (problem.code, problem.evidence["number"]) == ("provider_refused", 190)
    assert "access token" in problem.fix


async def test_an_interruption_is_over_when_it_is_noticed_and_is_no_event_of_its_own():
    call = Call()
    call.runner.announce()
    before = len(call.events)
    call.log.note_interruption(call.runner, "crash", 1.5, call.now)
    call.log.note_interruption(call.runner, "upgrade", 0.02, call.now + 5)
    call.log.note_interruption(call.runner, "upgrade", 0.03, call.now + 9)
    call.log.observe(call.runner, [], call.now + 9)
    assert len(call.events) == before
    found = call.log.find(CallId("00"))
    assert found is not None
    assert found.diagnosis.open == []
    assert [(one.code, one.until - one.since) for one in found.diagnosis.problems if one.until] == [
        ("interrupted", pytest.approx(1.5)),
        ("interrupted", pytest.approx(0.03)),  # of notices the last one
    ]
    call.log.end(call.runner, call.now + 10)
    assert found.diagnosis.summary(call.now + 10).startswith("Nobody was heard for 1500 ms")
