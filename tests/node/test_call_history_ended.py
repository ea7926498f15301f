from datetime import UTC, datetime

import msgspec

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
from bridge.node.call_history import CALL_BYTES, EndedCalls
from bridge.settings.model import Limits

ONE, TWO = LineName("one"), LineName("two")
LIMITS = Limits(calls=9, kept_seconds=60.0)


def record(name, line=ONE, metadata=b""):
    details = CallDetails(metadata=metadata)
    facts = CallFacts(CallId(name), line, "15550100001", datetime.now(UTC), details)
    return CallRecord(facts, Direction.OUTBOUND, State.ENDED, EndReason.HANGUP, 1.0, ())


def kept(ended, names="ABCD", line=ONE):
    return [name for name in names if ended.get(line, CallId(name))]


def test_a_call_is_remembered_until_its_time_is_up():
    ended = EndedCalls(LIMITS)
    ended.keep(record("A"), 100.0)
    ended.keep(record("B"), 130.0)
    ended.forget(159.0)
    assert kept(ended) == ["A", "B"]
    ended.forget(161.0)
    assert kept(ended) == ["B"]


def test_a_line_sees_only_its_own_calls():
    ended = EndedCalls(LIMITS)
    for name, line in (("A", ONE), ("B", TWO), ("C", ONE)):
        ended.keep(record(name, line), 0.0)
    assert kept(ended) == ["A", "C"]
    assert kept(ended, line=LineName("three")) == []


def test_a_line_with_too_many_calls_loses_its_own_oldest():
    ended = EndedCalls(msgspec.structs.replace(LIMITS, ended_per_line=2))
    ended.keep(record("D", TWO), 0.0)
    for name in "ABC":
        ended.keep(record(name), 0.0)
    assert (kept(ended), kept(ended, line=TWO)) == (["B", "C"], ["D"])


def test_the_memory_of_a_call_counts():
    limits = msgspec.structs.replace(LIMITS, ended_mb_per_line=(3 * CALL_BYTES + 1000) / 1e6)
    ended = EndedCalls(limits)
    ended.keep(record("A"), 0.0)
    ended.keep(record("B", metadata=bytes(1000)), 0.0)
    ended.keep(record("C"), 0.0)
    assert kept(ended) == ["A", "B", "C"]
    ended.keep(record("D", metadata=bytes(CALL_BYTES)), 0.0)
    assert kept(ended) == ["C", "D"]


def test_a_call_that_is_kept_twice_counts_once():
    ended = EndedCalls(msgspec.structs.replace(LIMITS, ended_mb_per_line=2 * CALL_BYTES / 1e6))
    for _ in range(9):
        ended.keep(record("A"), 0.0)
    ended.keep(record("B"), 0.0)
    assert kept(ended) == ["A", "B"]


def test_a_call_that_is_dropped_is_forgotten_and_takes_no_memory():
    ended = EndedCalls(msgspec.structs.replace(LIMITS, ended_mb_per_line=2 * CALL_BYTES / 1e6))
    for name in "AB":
        ended.keep(record(name), 0.0)
    ended.drop(ONE, CallId("A"))
    ended.drop(TWO, CallId("B"))
    ended.keep(record("C"), 0.0)
    assert kept(ended) == ["B", "C"]
