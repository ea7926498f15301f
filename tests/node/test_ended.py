from dataclasses import replace
from datetime import UTC, datetime

from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LineName,
    State,
)
from bridge.node.capacity import ManagerLimits
from bridge.node.ended import CALL_BYTES, EndedCalls

ONE, TWO = LineName("one"), LineName("two")
LIMITS = ManagerLimits(calls=9, calls_per_line=0, kept_seconds=60)


def record(name, line=ONE, metadata=b""):
    details = CallDetails(metadata=metadata)
    facts = CallFacts(CallId(name), line, "15550100001", datetime.now(UTC), details)
    return CallRecord(facts, Direction.OUTBOUND, State.ENDED, EndReason.HANGUP, 1.0, ())


class Timelines:
    """Remembers which it was told to forget."""

    def __init__(self, **octets):
        self.sizes = octets
        self.forgotten = []

    def octets(self, call_id):
        return self.sizes.get(call_id, 0)

    def forget(self, call_id):
        self.forgotten.append(call_id)


def kept(ended, line=ONE):
    return [found.facts.call_id for found in ended.of(line)]


def test_a_call_is_remembered_until_its_time_is_up():
    timelines = Timelines()
    ended = EndedCalls(LIMITS, timelines)
    ended.keep(record("A"), 100.0)
    ended.keep(record("B"), 130.0)
    ended.forget(159.0)
    assert kept(ended) == ["A", "B"]
    ended.forget(161.0)
    assert timelines.forgotten == ["A"]
    assert ended.get(ONE, CallId("A")) is None
    assert ended.get(ONE, CallId("B")) == ended.of(ONE)[0]


def test_a_line_sees_only_its_own_calls_in_the_order_in_which_they_ended():
    ended = EndedCalls(LIMITS, Timelines())
    for name, line in (("A", ONE), ("B", TWO), ("C", ONE)):
        ended.keep(record(name, line), 0.0)
    assert kept(ended) == ["A", "C"]
    assert ended.get(TWO, CallId("A")) is None
    assert kept(ended, LineName("three")) == []


def test_a_line_with_too_many_calls_loses_its_own_oldest():
    timelines = Timelines()
    ended = EndedCalls(replace(LIMITS, ended_per_line=2), timelines)
    ended.keep(record("other", TWO), 0.0)
    for name in "ABC":
        ended.keep(record(name), 0.0)
    assert timelines.forgotten == ["A"]
    assert (kept(ended), kept(ended, TWO)) == (["B", "C"], ["other"])


def test_the_memory_of_a_call_counts():
    limits = replace(LIMITS, ended_octets_per_line=3 * CALL_BYTES + 2000)
    ended = EndedCalls(limits, Timelines(C=1000, D=CALL_BYTES))
    ended.keep(record("A"), 0.0)
    ended.keep(record("B", metadata=bytes(1000)), 0.0)
    ended.keep(record("C"), 0.0)
    assert kept(ended) == ["A", "B", "C"]
    ended.keep(record("D"), 0.0)
    assert kept(ended) == ["C", "D"]


def test_a_call_that_is_kept_twice_counts_once():
    ended = EndedCalls(replace(LIMITS, ended_octets_per_line=2 * CALL_BYTES), Timelines())
    for _ in range(9):
        ended.keep(record("A"), 0.0)
    ended.keep(record("B"), 0.0)
    assert kept(ended) == ["A", "B"]
