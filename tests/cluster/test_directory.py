"""What a node knows beyond its own calls."""

import asyncio
from datetime import UTC, datetime

import pytest

from bridge.call.model import CallFacts, CallId, Direction, EndReason, LineName
from bridge.call.quota import Quota
from bridge.cluster.directory import SharedDirectory, owner_of
from bridge.cluster.membership import SingleNode
from bridge.cluster.siblings import Siblings
from bridge.cluster.transports import UnixTransport
from bridge.errors import DatabaseLost, LimitExceeded, RateLimited
from bridge.settings.model import Limits
from bridge.wire.call_id import chirp, wavix
from tests.support.databases import open_database
from tests.support.two_nodes import members_of_one


def facts(name: str) -> CallFacts:
    return CallFacts(CallId(name), LineName("one"), "15550100001", datetime.now(UTC))


@pytest.fixture
async def database(engine):
    opened = open_database(engine)
    yield opened
    await opened.aclose()


@pytest.fixture
async def directory(tmp_path, database):
    siblings = Siblings(members_of_one(1), unix=UnixTransport(tmp_path))
    made = SharedDirectory(
        database,
        siblings,
        counters=database,
        boot="a",
        quota=Quota("calls", "limits.calls", 100),
        limits=Limits(),
    )
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    ("call_id", "owner"),
    [
        ("00" + 30 * "F", 0),
        ("FF" + 30 * "0", 255),
        ("0a" + 30 * "0", 10),
        (chirp("0A" + 30 * "F"), 10),
        (chirp("FF" + 30 * "F", test=True), 255),
        (wavix("01" + 30 * "F"), 1),
        ("", None),
        ("00", None),
        (32 * "Z", None),
        (33 * "0", None),
    ],
)
def test_a_call_id_names_its_node(call_id, owner):
    assert owner_of(call_id) == owner


async def test_the_end_of_a_settled_call_is_in_the_database(directory, database):
    await directory.insert(facts("a"), Direction.INBOUND)
    directory.end(CallId("a"), EndReason.BUSY)
    await database.flush()
    record = await directory.find("a")
    assert record is not None
    assert record.reason is EndReason.BUSY


async def test_a_call_that_is_not_waited_for_leaves_no_count(directory, database):
    entering = asyncio.ensure_future(directory.insert(facts("a"), Direction.INBOUND))
    await asyncio.sleep(0)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    await database.flush()
    assert await directory.find("a") is None


async def test_a_call_whose_commit_was_in_doubt_leaves_no_count(directory, database, monkeypatch):
    real = database.run

    async def lost(*args, **more):
        await real(*args, **more)
        raise DatabaseLost("the database cannot be reached")

    with monkeypatch.context() as outage:
        outage.setattr(database, "run", lost)
        with pytest.raises(DatabaseLost):
            await directory.insert(facts("a"), Direction.INBOUND)
    await database.flush()
    assert await directory.find("a") is None


async def test_an_erased_call_is_found_no_more(directory):
    await directory.insert(facts("a"), Direction.INBOUND)
    directory.end(CallId("a"), EndReason.BUSY)
    await directory.erase(CallId("a"))
    assert await directory.find("a") is None


async def test_a_refusal_by_the_database_reaches_the_caller(tmp_path, database):
    siblings = Siblings(SingleNode(), unix=UnixTransport(tmp_path))
    full = SharedDirectory(
        database,
        siblings,
        counters=database,
        boot="a",
        quota=Quota("calls", "limits.calls", 0),
        limits=Limits(),
    )
    with pytest.raises(LimitExceeded):
        await full.insert(facts("a"), Direction.INBOUND)
    await full.aclose()


async def test_a_sibling_that_does_not_answer_has_no_calls_to_list(directory):
    assert await directory.elsewhere(LineName("one")) == []


async def test_each_node_counts_alone_while_the_database_cannot_be_reached(directory, monkeypatch):
    def spend(bucket, now):
        left = 2.0 if bucket is None else bucket[0]
        if left < 1:
            raise RateLimited("empty", retry_after=1)
        return left - 1, now

    assert await directory.spend(b"key", spend) == 1.0
    monkeypatch.setattr(type(directory._counters), "reachable", False)
    assert [await directory.spend(b"key", spend) for _ in range(2)] == [1.0, 0.0]
    with pytest.raises(RateLimited):
        await directory.spend(b"key", spend)
