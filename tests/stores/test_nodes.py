"""The table of nodes: who is registered, and who has ended."""

from dataclasses import replace

import pytest

from bridge.errors import SetupError
from bridge.http.node_signature import RowSigner
from bridge.stores import nodes
from bridge.stores.nodes import Member, NodeLoad
from tests.support.databases import connected


@pytest.fixture
def connection(engine):
    with connected(engine) as opened:
        yield opened


def register(connection, node, boot, *, launch_id="run", now=10.0):
    nodes.register(connection, Member(node=node, boot=boot), launch_id=launch_id, now=now)


def alive(connection):
    rows = connection.execute("SELECT boot FROM nodes WHERE ended_at IS NULL ORDER BY node")
    return [boot for (boot,) in rows]


def test_a_process_is_alive_until_it_has_ended(connection):
    register(connection, 1, "one")
    assert nodes.ended_at(connection, "one") is None
    assert nodes.end(connection, ["one", "unknown"], now=20.0) == ["one"]
    assert nodes.end(connection, ["one"], now=30.0) == []
    assert nodes.ended_at(connection, "one") == 20.0
    assert nodes.ended_at(connection, "unknown") is None


def test_a_process_ends_an_earlier_one_of_its_number(connection):
    register(connection, 1, "one")
    register(connection, 2, "two")
    register(connection, 1, "three")
    assert alive(connection) == ["three", "two"]


def test_a_process_ends_those_that_another_supervisor_had_started(connection):
    register(connection, 0, "old 0", launch_id="old")
    register(connection, 7, "old 7", launch_id="old")
    register(connection, 0, "new 0", launch_id="new")
    register(connection, 1, "new 1", launch_id="new")
    assert alive(connection) == ["new 0", "new 1"]


def test_a_process_without_a_lease_does_not_expire(connection):
    register(connection, 1, "one")
    assert nodes.end(connection, ["one"], now=1e9, certain=False) == []


def test_a_process_that_ended_long_ago_is_forgotten(connection):
    register(connection, 1, "one")
    nodes.end(connection, ["one"], now=20.0)
    register(connection, 1, "two", now=21.0 + nodes.KEPT_SECONDS)
    assert connection.execute("SELECT boot FROM nodes").fetchall() == [("two",)]


URL = "http://10.0.0.5:8081"
LEASE = 8.0
SIGNER = RowSigner("the secret of all machines of this test")


def join(connection, boot, *, now=10.0):
    own = Member(node=0, boot=boot, machine="m", url=URL)
    return nodes.join(connection, own, launch_id=boot, now=now, lease=LEASE, signer=SIGNER)


def renew(connection, own, *, now):
    return nodes.renew(connection, own, now=now, lease=LEASE, signer=SIGNER)


def test_a_process_joins_under_the_least_free_number(connection):
    assert [join(connection, boot).node for boot in ("one", "two", "three")] == [0, 1, 2]
    nodes.end(connection, ["two"], now=20.0)
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
    assert renew(connection, busy, now=100.0)
    [found] = nodes.leases(connection)
    assert (found.member, found.until) == (busy, 100.0 + LEASE)
    assert nodes.end(connection, ["one"], now=101.0, certain=False) == []
    assert nodes.end(connection, ["one"], now=109.0, certain=False) == ["one"]
    assert not renew(connection, busy, now=109.0)
    assert nodes.leases(connection) == []


def test_a_row_is_signed_when_a_node_joins_and_at_each_heartbeat(connection):
    own = join(connection, "one", now=1234567890.123456)
    assert nodes.leases(connection)[0].signed(SIGNER)
    renew(connection, own, now=1234567892.654321)
    assert nodes.leases(connection)[0].signed(SIGNER)


@pytest.mark.parametrize(
    "change",
    [
        "url = 'http://203.0.113.9:8081'",
        "machine = 'another'",
        "boot = 'another'",
        "lease_until = lease_until + 3600",
        "lease_until = NULL",
        "signature = ''",
    ],
)
def test_a_row_that_somebody_else_has_changed_is_not_signed_until_the_next_heartbeat(
    connection, change
):
    own = join(connection, "one")
    connection.execute(f"UPDATE nodes SET {change}")
    assert not nodes.leases(connection)[0].signed(SIGNER)
    connection.execute("UPDATE nodes SET boot = 'one'")
    renew(connection, own, now=12.0)
    [found] = nodes.leases(connection)
    assert (found.member, found.signed(SIGNER)) == (own, True)
