"""What is remembered of WhatsApp calls beyond the process."""

import asyncio

import pytest

from bridge.call.model import LineName
from bridge.errors import DatabaseLost
from bridge.stores import nodes as node_store
from bridge.stores.cloud import CloudStore
from bridge.wire.cloud_people import PermissionReplied, UserIdChanged
from tests.support.databases import open_database
from tests.support.whatsapp.left_behind import dials, live_calls, member, take_over

LINE = LineName("main")


@pytest.fixture
async def database(engine):
    made = open_database(engine)
    yield made
    await made.aclose()


def reply(at, *, granted, person="15550102222"):
    return PermissionReplied("900", person, granted, False, at, None, f"wamid.{at}")


async def test_a_call_is_claimed_once_by_one_node(database):
    first, second = CloudStore(database, own=member(0)), CloudStore(database, own=member(1))
    assert await first.claim("a", LINE)
    assert not await second.claim("a", LINE)
    first.ended("a")
    assert not await first.claim("a", LINE)


async def test_the_calls_of_lost_nodes_are_given_once_to_the_node_that_takes_over(database):
    nodes = [CloudStore(database, own=member(node)) for node in range(3)]
    for node, store in enumerate(nodes):
        await store.claim(f"of {node}", LINE)
    await nodes[0].claim("over", LINE)
    nodes[0].ended("over")
    await database.run(node_store.register, member(1), launch_id="run", now=0.0)
    await take_over(database, member(1))
    assert await nodes[1].orphaned_calls([LINE]) == [("of 0", LINE), ("of 2", LINE)]
    assert await nodes[1].orphaned_calls([LINE]) == []
    assert len(await live_calls(database)) == 3


async def test_the_dials_of_lost_nodes_are_given_once_to_the_node_that_takes_over(database):
    nodes = [CloudStore(database, own=member(node)) for node in range(3)]
    rows = [await store.begin_dial(f"of {node}", LINE) for node, store in enumerate(nodes)]
    nodes[0].end_dial(await nodes[0].begin_dial("done", LINE))
    assert len(set(rows)) == 3
    await database.run(node_store.register, member(1), launch_id="run", now=0.0)
    await take_over(database, member(1))
    assert sorted(await nodes[1].orphaned_dials([LINE])) == [("of 0", LINE), ("of 2", LINE)]
    assert await nodes[1].orphaned_dials([LINE]) == []
    assert await dials(database) == [("of 1", LINE)]


async def test_a_released_call_and_one_that_ended_long_ago_can_be_claimed_again(database):
    store = CloudStore(database, own=member(0), kept_seconds=0.0)
    await store.claim("a", LINE)
    store.release("a")
    assert await store.claim("a", LINE)
    store.ended("a")
    await asyncio.sleep(0.01)
    assert await store.claim("a", LINE)


async def test_calls_that_others_dial_are_told_from_ones_own(database):
    nodes = [CloudStore(database, own=member(node)) for node in range(2)]
    mine = await nodes[0].begin_dial("one", LINE)
    assert not await nodes[0].is_dialled("one", LINE, but=[mine])
    theirs = await nodes[1].begin_dial("one", LINE)
    assert await nodes[0].is_dialled("one", LINE, but=[mine])
    assert not await nodes[0].is_dialled("one", LineName("other"), but=[])
    nodes[1].end_dial(theirs)
    assert not await nodes[0].is_dialled("one", LINE, but=[mine])


async def test_dials_of_another_providers_lines_are_left_alone(database):
    store = CloudStore(database, own=member(0))
    await store.begin_dial("one", LINE)
    await take_over(database, member(0))
    assert await store.orphaned_dials([LineName("other")]) == []
    assert await store.orphaned_dials([LINE]) == [("one", LINE)]


async def test_the_last_answer_to_the_question_for_permission_is_kept(database):
    store = CloudStore(database, own=member(0))
    assert await store.reply(LINE, "15550102222") is None
    store.remember(LINE, reply(5.0, granted=True))
    store.remember(LINE, reply(3.0, granted=False))
    kept = await store.reply(LINE, "15550102222")
    assert kept is not None
    assert kept.granted


@pytest.mark.parametrize(("before", "later"), [(5.0, None), (5.0, 3.0), (3.0, 5.0)])
async def test_what_a_person_replied_goes_with_them_to_a_new_id_of_metas(database, before, later):
    store = CloudStore(database, own=member(0))
    store.remember(LINE, reply(before, granted=True, person="US.1"))
    if later is not None:
        store.remember(LINE, reply(later, granted=False, person="US.2"))
    other = LineName("other")
    store.remember(other, reply(before, granted=True, person="US.1"))
    for _ in range(2):
        store.move(LINE, UserIdChanged("900", "US.1", "US.2", "wamid.A"))
    kept = await store.reply(LINE, "US.2")
    assert kept is not None
    assert kept.granted is (later != 5.0)
    assert await store.reply(LINE, "US.1") is None
    assert await store.reply(other, "US.1") is not None


async def test_a_dial_that_is_canceled_while_it_is_stored_leaves_nothing(database):
    store = CloudStore(database, own=member(0))
    dial = asyncio.ensure_future(store.begin_dial("15550107001", LINE))
    await asyncio.sleep(0)
    dial.cancel()
    await asyncio.gather(dial, return_exceptions=True)
    assert await dials(database) == []


async def test_a_dial_whose_commit_was_in_doubt_leaves_nothing(database, monkeypatch):
    store, real = CloudStore(database, own=member(0)), database.run

    async def lost(*args, **more):
        await real(*args, **more)
        raise DatabaseLost("the database cannot be reached")

    with monkeypatch.context() as outage:
        outage.setattr(database, "run", lost)
        with pytest.raises(DatabaseLost):
            await store.begin_dial("15550107001", LINE)
    assert await dials(database) == []
