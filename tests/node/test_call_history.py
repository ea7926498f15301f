"""Ended calls in the database: written, searched over transactions, deleted in time."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bridge.call.diagnosis.report import LOST
from bridge.call.model import CallId, CallRecord, EndReason, LegStatistics, State
from bridge.call.record.ended_call import CallReport
from bridge.call.record.quality import LegQuality
from bridge.call.record.search import CallSearch
from bridge.cluster.membership import SingleNode
from bridge.cluster.recovery import end_calls
from bridge.metrics.registry import Metrics
from bridge.node.call_history import CallHistory, report_now
from bridge.stores import calls as call_store
from bridge.stores.event_log import EventLog
from bridge.stores.nodes import Member
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from tests.call.record.test_ended_call import LEG, RECORD, timeline
from tests.support.databases import open_database


@asynccontextmanager
async def history(engine, kept_seconds=1e9):
    database = open_database(engine)
    failures: list[str] = []
    try:
        yield (
            CallHistory(database, kept_seconds=kept_seconds, count_failure=failures.append),
            database,
            failures,
        )
    finally:
        await database.aclose()


def report(number=0, began=RECORD.facts.started_at, **more):
    facts = replace(RECORD.facts, call_id=CallId(f"{number:032X}"), started_at=began)
    return CallReport(replace(RECORD, facts=facts, ended_at=began, **more))


async def test_a_call_is_found_with_its_timeline(engine):
    async with history(engine) as (calls, _, _):
        calls.keep(report(1), (LegQuality(LEG, 1.0, 0.0, timeline(4.0)),))
        found = await calls.find(RECORD.facts.line, f"{1:032X}")
        assert found == report(1)
        [leg] = await calls.timelines(f"{1:032X}")
        assert leg.timeline.mean("mos") == 4.0


async def test_a_search_goes_on_over_transactions(engine, monkeypatch):
    monkeypatch.setattr(call_store, "EXAMINED", 2)
    async with history(engine) as (calls, _, _):
        for number in range(7):
            reason = EndReason.BUSY if number in (0, 6) else EndReason.HANGUP
            at = RECORD.facts.started_at + timedelta(seconds=number)
            calls.keep(report(number, at, reason=reason), ())
        found, following = await calls.search(CallSearch(reason=EndReason.BUSY), limit=5)
        assert [call.call_id for call in found] == [f"{6:032X}", f"{0:032X}"]
        assert following is None


async def test_live_calls_are_not_in_the_history(engine):
    async with history(engine) as (calls, _, _):
        calls.keep(report(1), ())
        assert await calls.search(CallSearch(state=State.ACTIVE)) == ([], None)


async def test_calls_are_deleted_when_their_time_has_expired(engine):
    async with history(engine, kept_seconds=60.0) as (calls, _, _):
        now = datetime.now(UTC)
        calls.keep(report(1, now - timedelta(seconds=90)), ())
        calls.keep(report(2, now), ())
        await calls.sweep()
        found, _ = await calls.search(CallSearch())
        assert [call.call_id for call in found] == [f"{2:032X}"]


async def test_a_record_that_cannot_be_read_is_counted_and_left_out(engine):
    async with history(engine) as (calls, database, failures):
        calls.keep(report(1), ())
        calls.keep(report(2), ())
        spoil = "UPDATE call_records SET entry = '{}' WHERE call_id = ?"
        await database.run(lambda db: db.execute(spoil, (f"{1:032X}",)).rowcount)
        found, _ = await calls.search(CallSearch())
        assert [call.call_id for call in found] == [f"{2:032X}"]
        assert failures == ["read"]


async def test_a_record_that_cannot_be_written_is_counted(engine):
    async with history(engine) as (calls, database, failures):
        await database.run(lambda db: db.execute("DROP TABLE call_records").rowcount)
        calls.keep(report(1), ())
        await database.flush()
        await asyncio.sleep(0)
        assert failures == ["write"]


async def test_the_end_of_a_call_that_was_cut_off_with_its_node_is_in_the_history(engine):
    began = datetime.now(UTC) - timedelta(seconds=30)
    call = CallSnapshot(
        id=f"{1:032X}",
        direction="inbound",
        state="active",
        peer="15550100001",
        started_at=began,
        from_="+15550100001",
        to="+15550109000",
        tag="x",
        metadata=msgspec.Raw(b'{"a":1}'),
    )
    event = CallEvent(id="evt_1", type=EventType.CALL_ACTIVE, line="one", at=began, call=call)
    async with history(engine) as (_, database, _):
        log = EventLog(database, members=SingleNode(), metrics=Metrics(version="0").events)
        log.append(event)
        await log.flush()
    async with history(engine) as (calls, database, _):
        await database.run(end_calls, Member(node=0, boot="00" * 8), keep_lost=calls.keep_lost)
        [entry], _ = await calls.search(CallSearch())
        assert (entry.reason, entry.state) == (EndReason.NODE_LOST, State.ENDED)
        assert (entry.from_, entry.to) == ("+15550100001", "+15550109000")
        found = await calls.find(None, call.id)
        assert found is not None
        assert found.record.facts.details.metadata == b'{"a":1}'
        assert found.diagnosis == LOST


def test_a_call_that_nobody_has_looked_at_yet_is_watched():
    record = replace(RECORD, state=State.RINGING, reason=None)
    found = report_now(record, (), None).diagnosis
    assert (found.verdict, found.summary) == ("watching", "The call has not been answered yet.")


def live(number, second):
    at = RECORD.facts.started_at + timedelta(seconds=second)
    record = report(number, at).record
    return replace(record, state=State.ACTIVE, reason=None, ended_at=None)


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_live_calls_stand_among_the_ended_ones_by_their_beginning(engine, limit):
    async with history(engine) as (calls, _, _):
        for number in (0, 2, 3, 5):
            at = RECORD.facts.started_at + timedelta(seconds=number)
            calls.keep(report(number, at), ())
        # Call 3 has ended since the live ones were listed.
        now = [live(number, number) for number in (1, 3, 4)]
        listed: list[CallRecord] = []
        for offset in range(0, 8, limit):
            page, count = await calls.records(RECORD.facts.line, now, offset=offset, limit=limit)
            assert count == 6
            listed += page
        assert [int(one.facts.call_id, 16) for one in listed] == [5, 4, 3, 2, 1, 0]
        assert [one.reason is None for one in listed] == [False, True, False, False, True, False]


async def test_listed_calls_are_without_figures_but_know_of_a_browser(engine):
    async with history(engine) as (calls, _, _):
        calls.keep(report(1), ())
        [record], _ = await calls.records(RECORD.facts.line, [], offset=0, limit=1)
        assert record.has_browser
        assert record.legs[0].statistics == LegStatistics()
