"""The calls that a line has and had."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from bridge.api.listing import known_calls
from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName, State

LINE = LineName("one")


def record(name: str, second: int) -> CallRecord:
    at = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    facts = CallFacts(CallId(name), LINE, "15550100001", at)
    return CallRecord(facts, Direction.OUTBOUND, State.ACTIVE, None, 1.0, ())


def over(call: CallRecord) -> CallRecord:
    return replace(call, state=State.ENDED, reason=EndReason.HANGUP)


def manager(live: list[CallRecord], ended: list[CallRecord]) -> Any:
    async def listed(line: LineName, *, ended: bool = False) -> list[CallRecord]:
        assert line == LINE
        return past if ended else live

    past = ended
    return cast("Any", SimpleNamespace(list=listed))


async def test_live_and_ended_calls_are_listed_by_their_age():
    first, second, third = (record(name, at) for at, name in enumerate("abc"))
    listed = await known_calls(manager([first, third], [over(second)]), LINE)
    assert [call.facts.call_id for call in listed] == ["a", "b", "c"]


async def test_a_call_that_ends_while_it_is_listed_is_listed_once_as_ended():
    call = record("a", 0)
    assert await known_calls(manager([call], [over(call)]), LINE) == [over(call)]
