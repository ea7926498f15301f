"""What is told of calls and legs: figures, and events with the call as it then stood."""

from datetime import UTC, datetime

import pytest

from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LegId,
    LineName,
    State,
)
from bridge.call.notices import CallEvent
from bridge.metrics.registry import Metrics
from bridge.node.observer import CallObserver
from tests.support.fake_leg import FakeLeg

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
FACTS = CallFacts(CallId("00AB"), LineName("one"), "15550100001", AT, CallDetails())


class Runner:
    """A call of which only its record is asked."""

    def __init__(self, record: CallRecord) -> None:
        self._record = record

    def record(self) -> CallRecord:
        return self._record


def record(reason: EndReason | None = None) -> CallRecord:
    return CallRecord(
        facts=FACTS,
        direction=Direction.OUTBOUND,
        state=State.ACTIVE,
        reason=reason,
        seconds=3.0,
        legs=(),
    )


@pytest.fixture
def published() -> list[CallEvent]:
    return []


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="0")


@pytest.fixture
def observer(metrics: Metrics, published: list[CallEvent]) -> CallObserver:
    return CallObserver(metrics, published.append)


def sample(metrics: Metrics, start: str) -> float:
    lines = metrics.render()[0].decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(start))


def test_an_event_carries_the_call_as_it_stands(observer, published):
    observer.happened(Runner(record()), "call.held", {"by": "near"})
    (event,) = published
    assert (event.type, event.line, event.call_id) == ("call.held", "one", "00AB")
    assert (event.record, event.data) == (record(), {"by": "near"})
    assert event.at.tzinfo is UTC


def test_a_leg_that_is_over_is_counted_among_those_that_were(observer, metrics):
    leg = FakeLeg(LegId("leg_1"))
    observer.leg_started(leg)
    assert sample(metrics, "bridge_legs{") == 1
    observer.leg_ended(leg, EndReason.HANGUP)
    assert sample(metrics, "bridge_legs{") == 0
    assert observer.legs_ended == 1


def test_a_refused_call_is_counted_by_the_limit_it_met(observer, metrics):
    observer.call_refused("draining")
    assert sample(metrics, 'bridge_calls_refused_total{reason="draining"') == 1


def test_a_call_lost_with_its_node_is_counted_in_and_out(observer, metrics, published):
    observer.call_lost(record(EndReason.NODE_LOST))
    assert sample(metrics, "bridge_calls_ended_total{") == 1
    assert sample(metrics, "bridge_calls{") == 0
    assert published == []
