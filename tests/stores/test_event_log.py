"""The log of events: passed on once written, to listeners of every node, and complete after a crash."""

import asyncio
import contextlib
import itertools
from datetime import UTC, datetime

import msgspec
import pytest

from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LineName,
    Parties,
    State,
)
from bridge.call.view import snapshot_of
from bridge.cluster.membership import SingleNode, Supervised, new_boot
from bridge.metrics.registry import Metrics
from bridge.settings.model import Events
from bridge.stores import event_log as events_module
from bridge.stores import events
from bridge.stores.event_log import EventLog
from bridge.stores.nodes import Member
from bridge.wire.call_event import CallEvent
from tests.support.databases import open_database

IDS = itertools.count()
SALES, OTHER = LineName("sales"), LineName("other")


def event(kind, call="00" + "AB" * 15, line=SALES, reason=None, callback_url="", **data):
    now = datetime.now(UTC)
    details = CallDetails(
        parties=Parties(from_="+15550109000"), metadata=b'{"order":7}', callback_url=callback_url
    )
    facts = CallFacts(CallId(call), line, "15550100001", now, details)
    state = State.ENDED if reason else State.ACTIVE
    record = CallRecord(facts, Direction.OUTBOUND, state, reason, 1.0, ())
    return CallEvent(
        id=f"evt_{next(IDS)}", type=kind, line=line, at=now, call=snapshot_of(record), data=data
    )


def members(node, nodes):
    """The nodes of a bridge as one of them knows them."""
    if nodes == 1:
        return SingleNode()
    others = [Member(node=one, boot=new_boot()) for one in range(nodes) if one != node]
    return Supervised(Member(node=node, boot=new_boot()), others, launch_id="run")


@pytest.fixture
async def database(engine):
    """The logs' database, beside them."""
    database = open_database(engine)
    yield database
    await database.aclose()


@pytest.fixture
async def open_log(engine):
    """Opens logs over one database; each is a node."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*, node=0, nodes=1):
            database = open_database(engine)
            stack.push_async_callback(database.aclose)
            log = EventLog(
                database, members=members(node, nodes), metrics=Metrics(version="0").events
            )
            running = asyncio.get_running_loop().create_task(log.run(Events()))

            async def stop():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

            stack.push_async_callback(stop)
            return log

        yield start


async def hear(log, count, *, line=SALES, call_id=None, after=0):
    heard = []
    async with (
        asyncio.timeout(10),
        contextlib.aclosing(log.listen(line, call_id=call_id, after=after, idle=60)) as found,
    ):
        async for item in found:
            if item is not None:
                heard.append(item)
            if len(heard) == count:
                break
    return heard


async def test_a_listener_gets_events_in_the_order_in_which_they_happened(open_log):
    log = await open_log()
    for kind in ("call.initiated", "call.ringing", "call.ended"):
        log.append(event(kind))
    heard = await hear(log, 3)
    assert [event.type for _, event in heard] == ["call.initiated", "call.ringing", "call.ended"]
    assert heard[0][1].call.metadata == msgspec.Raw(b'{"order":7}')
    assert (heard[0][1].call.from_, heard[0][1].call.to) == ("+15550109000", "+15550100001")
    assert len({event.id for _, event in heard}) == 3


async def test_a_flush_means_that_it_is_on_disk(open_log):
    log, reader = await open_log(node=0, nodes=2), await open_log(node=1, nodes=2)
    log.append(event("call.initiated"))
    await log.flush()
    assert len(await reader.read(0, SALES)) == 1


async def test_a_listener_gets_events_of_its_line_and_call_only(open_log):
    log = await open_log()
    log.append(event("call.initiated", line=OTHER))
    log.append(event("call.initiated", call="00" + "CD" * 15))
    log.append(event("call.ended"))
    [(_, found)] = await hear(log, 1, call_id="00" + "AB" * 15)
    assert found.type == "call.ended"


async def test_a_listener_gets_events_that_other_nodes_write(open_log):
    first, second = await open_log(node=0, nodes=2), await open_log(node=1, nodes=2)
    hearing = asyncio.get_running_loop().create_task(hear(first, 2))
    await asyncio.sleep(0)
    second.append(event("call.initiated"))
    await second.flush()
    first.append(event("call.ringing"))
    heard = await hearing
    assert [event.type for _, event in heard] == ["call.initiated", "call.ringing"]


async def test_a_listener_that_falls_behind_misses_nothing(open_log):
    log = await open_log()
    found = log.listen(SALES, after=0, idle=60)
    log.append(event("call.initiated", number=0))
    _, first = await anext(found)
    numbers = [first.data["number"]]
    sent = 2 * events_module.MAX_QUEUED
    for number in range(1, sent):
        log.append(event("digit.received", number=number))
    await log.flush()
    async with asyncio.timeout(10):
        while len(numbers) < sent:
            _, read = await anext(found)
            numbers.append(read.data["number"])
    await found.aclose()
    assert numbers == list(range(sent))


async def test_more_than_a_page_is_read_page_by_page(open_log, monkeypatch):
    log = await open_log()
    for number in range(events.PAGE + 5):
        log.append(event("digit.received", number=number))
    heard = await hear(log, events.PAGE + 5)
    assert [event.data["number"] for _, event in heard] == list(range(events.PAGE + 5))


async def test_an_event_that_cannot_be_encoded_stops_no_other(open_log):
    log = await open_log()
    log.append(event("broken", thing=object()))
    log.append(event("call.ended"))
    [(_, found)] = await hear(log, 1)
    assert found.type == "call.ended"


async def test_old_events_are_deleted_unless_a_delivery_is_pending(open_log, database):
    log = await open_log()
    log.append(event("call.initiated"))
    log.append(event("call.ended"))
    await log.flush()
    await database.run(
        lambda c: (
            c.execute(
                "INSERT INTO deliveries (event, node, line, receiver, lane, style, url, first_at) "
                "VALUES (1, 0, 'sales', 'wh', 'l', 'native', '', 0)"
            )
            and None
        )
    )
    far = datetime.now(UTC).timestamp() + 60
    await database.run(lambda c: events.forget(c, events_before=far, dead_before=0.0))
    assert [number for number, _ in await log.read(0)] == [1]


async def digits_of(log) -> list[str]:
    await log.flush()
    return [event.data["digit"] for _, event in await log.read(0) if "digit" in event.data]


async def wipe(log, database, *, later: float) -> None:
    """Have digits taken out as they would be so many seconds later."""
    await log.flush()
    before = datetime.now(UTC).timestamp() + later
    await database.run(lambda c: events.forget_digits(c, ended_before=before))


async def test_digits_stay_while_their_call_lives_and_a_while_longer(open_log, database):
    log = await open_log()
    log.append(event("digit.received", digit="7", legID="leg_1"))
    await wipe(log, database, later=3600.0)
    assert await digits_of(log) == ["7"]
    log.append(event("call.ended", reason=EndReason.HANGUP))
    await wipe(log, database, later=-60.0)
    assert await digits_of(log) == ["7"]
    await wipe(log, database, later=60.0)
    assert await digits_of(log) == [""]
    [(_, kept), _] = await log.read(0)
    assert (kept.type, kept.data["legID"]) == ("digit.received", "leg_1")


async def test_digits_of_other_calls_stay(open_log, database):
    log = await open_log()
    log.append(event("digit.received", digit="7", call="00" + "CD" * 15))
    log.append(event("call.ended", reason=EndReason.HANGUP))
    await wipe(log, database, later=60.0)
    assert await digits_of(log) == ["7"]


async def test_digits_that_come_after_the_end_leave_too(open_log, database):
    log = await open_log()
    log.append(event("digits.collected", reason=EndReason.HANGUP, digit="7"))
    await wipe(log, database, later=60.0)
    assert await digits_of(log) == [""]


async def test_digits_that_are_still_to_be_delivered_stay_until_then(open_log, database):
    log = await open_log()
    log.append(event("digit.received", digit="7"))
    log.append(event("call.ended", reason=EndReason.HANGUP))
    await log.flush()

    def wait(connection):
        connection.execute(
            "INSERT INTO deliveries (event, node, line, receiver, lane, style, url, first_at) "
            "VALUES (1, 0, 'sales', 'wh', 'l', 'native', '', 0)"
        )

    await database.run(wait)
    await wipe(log, database, later=60.0)
    assert await digits_of(log) == ["7"]
    await database.run(lambda c: c.execute("DELETE FROM deliveries") and None)
    await wipe(log, database, later=60.0)
    assert await digits_of(log) == [""]
