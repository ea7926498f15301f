from datetime import UTC, datetime

from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName, State
from bridge.node.ended import EndedCalls


def record(name, line="one"):
    facts = CallFacts(CallId(name), LineName(line), "15550100001", datetime.now(UTC))
    return CallRecord(facts, Direction.OUTBOUND, State.ENDED, EndReason.HANGUP, 1.0, ())


def test_a_call_is_remembered_until_its_time_is_up():
    ended = EndedCalls(kept_seconds=60)
    ended.keep(record("A"), 100.0)
    ended.keep(record("B"), 130.0)
    assert ended.forget(159.0) == []
    assert ended.forget(161.0) == ["A"]
    assert ended.get(CallId("A")) is None
    assert ended.get(CallId("B")) == ended.of(LineName("one"))[0]


def test_a_line_sees_only_its_own_calls_in_the_order_in_which_they_ended():
    ended = EndedCalls(kept_seconds=60)
    for name, line in (("A", "one"), ("B", "two"), ("C", "one")):
        ended.keep(record(name, line), 0.0)
    assert [found.facts.call_id for found in ended.of(LineName("one"))] == ["A", "C"]
