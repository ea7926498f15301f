"""Nodes that share a database: their numbers, their leases, and what becomes of those that stop."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.cluster.failure_detector import FailureDetector
from bridge.cluster.leases import Leased
from bridge.cluster.membership import new_boot
from bridge.cluster.timing import ClusterTiming
from bridge.errors import DatabaseLost
from bridge.http.node_signature import RowSigner
from bridge.stores import nodes as node_store
from bridge.stores.nodes import Member
from tests.support.databases import open_database
from tests.support.waiting import until

QUICK = ClusterTiming(heartbeat=0.2)


@pytest.fixture
async def join(engine):
    """Joins nodes; what a node reports as ended is in its `ended`."""
    async with AsyncExitStack() as stack:
        database = open_database(engine)
        stack.push_async_callback(database.aclose)

        async def one(*, url="", machine="m", timing=QUICK, **more):
            own = Member(node=0, boot=new_boot(), machine=machine, url=url)
            made: Any = await Leased.join(engine, engine.open, own, timing=timing, **more)
            stack.push_async_callback(made.aclose)
            made.ended = []

            def reap(found, certain):
                made.ended += [(one.boot, certain) for one in found]
                boots = [one.boot for one in found]
                database.post(lambda it: node_store.end(it, boots, now=it.now(), certain=certain))

            made.follow_ended(reap)
            return made

        yield one


async def boot_of(member):
    return member.boot


async def stop(node):
    """Stop a node's heartbeats, without a goodbye."""
    await node._tasks.aclose()


async def test_nodes_get_numbers_and_find_each_other(join):
    first, second = await join(), await join(url="http://10.0.0.5:8081")
    assert (first.own.node, second.own.node) == (0, 1)
    await until(lambda: [one.node for one in first.others()] == [1])
    assert first.find(1).url == "http://10.0.0.5:8081"
    assert first.find(0) == first.own
    assert first.find(2) is None
    assert abs(first.now() - second.now()) < 1.0


SECRETS = ("the secret of these machines", "the secret that they had before")


async def test_a_url_in_the_database_is_used_if_a_machine_with_our_secret_has_signed_it(
    join, caplog
):
    ours, patient = RowSigner(*SECRETS), ClusterTiming()
    first = await join(machine="a", signer=ours, timing=patient)
    signers = (ours, RowSigner(SECRETS[1]), RowSigner("x"), RowSigner())
    for number, signer in enumerate(signers):
        url = f"http://10.0.0.{number}:81"
        await join(machine=f"b{number}", url=url, signer=signer, timing=patient)
    await first.look()
    assert [one.url for one in first.others()] == [
        "http://10.0.0.0:81",
        "http://10.0.0.1:81",
        "",
        "",
    ]
    told = [record for record in caplog.records if record.message == "sibling.unsigned"]
    assert {record.sibling for record in told} >= {3, 4}
    assert not any(secret in record.why for record in told for secret in SECRETS)


async def test_a_node_whose_url_somebody_changes_in_the_database_stays_alive_and_gets_it_back(join):
    signer = RowSigner(SECRETS[0])
    first = await join(machine="a", signer=signer)
    second = await join(machine="b", url="http://10.0.0.5:8081", signer=signer)
    await until(lambda: first.others())
    first.boot_of = boot_of
    await stop(second)
    await second._in_thread(
        lambda it: it.execute("UPDATE nodes SET url = 'http://203.0.113.9' WHERE node = 1")
    )
    await first.look()
    assert first.find(1).url == ""
    async with asyncio.timeout(10):
        while first.find(1).url != second.own.url:
            await second.look()
            await first.look()
    assert first.ended == []


async def test_numbers_are_different_however_many_join_at_once(join):
    joined = await asyncio.gather(*(join() for _ in range(6)))
    assert sorted(one.own.node for one in joined) == list(range(6))


async def test_a_node_that_stops_is_declared_dead_by_one_that_has_a_clean_lease(join):
    first, second, third = await join(), await join(), await join()
    await until(lambda: len(first.others()) == 2)
    await stop(second)
    await until(lambda: first.find(1) is None and third.find(1) is None)
    assert (second.own.boot, False) in first.ended + third.ended
    assert first.find(2) is not None


async def test_a_paused_node_finds_itself_fenced(join):
    first, second = await join(), await join()
    await until(lambda: first.others())
    await stop(second)
    await until(lambda: first.find(1) is None)
    await second.look()
    assert second.fenced.is_set()
    assert not first.fenced.is_set()


async def test_a_node_that_answers_is_spared_and_may_renew_its_lease(join):
    first, second = await join(), await join()
    await until(lambda: first.others())
    asked = []

    async def answer(member):
        asked.append(member.node)
        return member.boot

    first.boot_of = answer
    await stop(second)
    await until(lambda: len(asked) > 2)
    assert first.find(1) is not None
    assert first.others() == []
    await second.look()
    assert not second.fenced.is_set()
    await until(lambda: first.others())


async def test_a_node_that_leaves_is_known_to_have_ended(join):
    first, second = await join(), await join()
    await until(lambda: first.others())
    await second.aclose()
    await until(lambda: first.ended)
    assert first.ended == [(second.own.boot, True)]


async def test_a_process_that_the_supervisor_saw_end_is_reported_at_once(join):
    first, second = await join(), await join()
    await until(lambda: first.others())
    await stop(second)
    first.update([], [second.own])
    first.update([], [second.own])
    assert first.ended == [(second.own.boot, True)]


async def test_an_outage_of_the_database_kills_nobody(join, monkeypatch):
    """All leases run out; when it is back, all renew theirs, and nobody is armed before."""
    nodes = [await join() for _ in range(3)]
    await until(lambda: all(len(one.others()) == 2 for one in nodes))

    def gone(*_, **__):
        raise DatabaseLost("the database cannot be reached")

    with monkeypatch.context() as outage:
        outage.setattr(node_store, "leases", gone)
        outage.setattr(node_store, "renew", gone)
        await asyncio.sleep(1.5)
    await asyncio.sleep(0.3)
    assert [one.ended for one in nodes] == [[], [], []]
    assert not any(one.fenced.is_set() for one in nodes)
    await until(lambda: all(len(one.others()) == 2 for one in nodes))
    await until(lambda: nodes[0]._detector.armed(asyncio.get_running_loop().time()))


async def test_two_of_three_are_not_declared_dead(join):
    first, *others = [await join() for _ in range(3)]
    await until(lambda: len(first.others()) == 2)
    refused = []
    first.metrics = SimpleNamespace(
        set_lease=lambda seconds: None, fencing_refused=lambda amount: refused.append(amount)
    )

    async def answer(member):
        """One that dies a moment before the other would be declared dead alone."""
        return member.boot if first.others() else None

    first.boot_of = answer
    for one in others:
        await stop(one)
    await until(lambda: refused.count(True) == 1 and refused[-1] is False)
    assert first.ended == []


def test_a_node_that_has_just_started_judges_nobody():
    assert not FailureDetector(QUICK).armed(0.0)
