"""The table of nodes: who is registered, and who has ended."""

from dataclasses import replace

import pytest

from bridge.errors import SetupError
from bridge.net import node_store
from bridge.net.node_store import LEASE_SECONDS, Lease, Member, NodeLoad
from tests.support.databases import connected


@pytest.fixture
def connection(engine):
    with connected(engine) as opened:
        yield opened


def register(connection, node, boot, *, run="run", now=10.0):
    node_store.register(connection, Member(node=node, boot=boot), run=run, now=now)


def alive(connection):
    rows = connection.execute("SELECT boot FROM nodes WHERE ended_at IS NULL ORDER BY node")
    return [boot for (boot,) in rows]


def test_a_process_is_alive_until_it_has_ended(connection):
    register(connection, 1, "one")
    assert node_store.ended_at(connection, "one") is None
    assert node_store.end(connection, ["one", "unknown"], now=20.0) == ["one"]
    assert node_store.end(connection, ["one"], now=30.0) == []
    assert node_store.ended_at(connection, "one") == 20.0
    assert node_store.ended_at(connection, "unknown") is None


def test_a_process_ends_an_earlier_one_of_its_number(connection):
    register(connection, 1, "one")
    register(connection, 2, "two")
    register(connection, 1, "three")
    assert alive(connection) == ["three", "two"]


def test_a_process_ends_those_that_another_supervisor_had_started(connection):
    register(connection, 0, "old 0", run="old")
    register(connection, 7, "old 7", run="old")
    register(connection, 0, "new 0", run="new")
    register(connection, 1, "new 1", run="new")
    assert alive(connection) == ["new 0", "new 1"]


def test_a_process_without_a_lease_does_not_expire(connection):
    register(connection, 1, "one")
    assert node_store.end_expired(connection, ["one"], now=1e9) == []


def test_a_process_that_ended_long_ago_is_forgotten(connection):
    register(connection, 1, "one")
    node_store.end(connection, ["one"], now=20.0)
    register(connection, 1, "two", now=21.0 + node_store.KEPT_SECONDS)
    assert connection.execute("SELECT boot FROM nodes").fetchall() == [("two",)]


def join(connection, boot, *, now=10.0):
    return node_store.join(
        connection, boot=boot, run=boot, machine="m", url="http://10.0.0.5:8081", now=now
    )


def test_a_process_joins_under_the_least_free_number(connection):
    assert [join(connection, boot).node for boot in ("one", "two", "three")] == [0, 1, 2]
    node_store.end(connection, ["two"], now=20.0)
    assert join(connection, "four").node == 1
    # One whose lease has run out has its number until somebody has taken over what it left.
    assert join(connection, "five", now=1e6).node == 3


def test_there_are_256_nodes_at_most(connection):
    for number in range(256):
        join(connection, f"boot {number}")
    with pytest.raises(SetupError, match="256 nodes"):
        join(connection, "one more")


def test_a_lease_is_renewed_until_its_node_is_declared_dead(connection):
    own = join(connection, "one")
    busy = replace(own, draining=True, load=NodeLoad(calls=3, capacity=10, cpu=0.5, lag=0.25))
    assert node_store.renew(connection, busy, now=100.0)
    assert node_store.leases(connection) == [Lease(busy, 100.0 + LEASE_SECONDS)]
    assert node_store.end_expired(connection, ["one"], now=101.0) == []
    assert node_store.end_expired(connection, ["one"], now=109.0) == ["one"]
    assert not node_store.renew(connection, busy, now=109.0)
    assert node_store.leases(connection) == []
