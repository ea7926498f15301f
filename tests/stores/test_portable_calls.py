"""Of a dead process, the calls with snapshots become those of the one that declares it dead, once."""

import msgspec
import pytest

from bridge.call.model import CallId
from bridge.stores import handover, lost_nodes, nodes, portable_calls
from bridge.stores.nodes import Member
from bridge.stores.portable_calls import AGAIN_SECONDS, ProviderKeys
from tests.stores.test_lost_nodes import begin_call
from tests.support.databases import connected, insert_call

DEAD, OWN, THIRD = (Member(node=node, boot=boot) for node, boot in enumerate(("dead", "own", "3")))
CALL, BARE = CallId("a"), CallId("b")
SNAPSHOT = msgspec.msgpack.encode(ProviderKeys(("one/7",)))
LEASE = 8.0


@pytest.fixture
def connection(engine):
    with connected(engine) as opened:
        for one in (DEAD, OWN, THIRD):
            nodes.register(opened, one, launch_id="run", now=1.0)
        for call_id in (CALL, BARE):
            begin_call(opened, call_id, DEAD)
            insert_call(opened, call_id, DEAD)
        opened.execute(
            "INSERT INTO whatsapp_calls (wacid, line, node, boot, began_at) VALUES ('one/7', 'one', 0, 'dead', 0)"
        )
        portable_calls.write(opened, DEAD.boot, {CALL: SNAPSHOT})
        yield opened


def take_over(connection, dead, own, now):
    nodes.end(connection, [dead.boot], now=now)
    return portable_calls.take_over(connection, [dead.boot], own, now=now, lease=LEASE)


def test_only_a_call_with_a_snapshot_is_taken_over_and_it_is_so_once(connection):
    [taken] = take_over(connection, DEAD, OWN, 100.0)
    assert (taken.move.call_id, taken.snapshot, taken.former) == (CALL, SNAPSHOT, DEAD)
    assert [handover.owner(connection, one) for one in (CALL, BARE)] == [OWN.node, DEAD.node]
    row = connection.execute("SELECT boot FROM whatsapp_calls").fetchone()
    assert row == (OWN.boot,)
    assert [last.id for last, _ in lost_nodes.open_calls(connection)] == [f"evt_{BARE}"]
    assert take_over(connection, DEAD, THIRD, 100.0) == []


def test_silence_is_counted_from_the_last_heartbeat(connection):
    connection.execute("UPDATE nodes SET lease_until = 98.5 WHERE boot = 'dead'")
    [taken] = take_over(connection, DEAD, OWN, 100.0)
    assert taken.silent_since == 98.5 - LEASE


@pytest.mark.parametrize(("later", "calls"), [(AGAIN_SECONDS - 1, 0), (AGAIN_SECONDS + 1, 1)])
def test_a_call_whose_second_machine_dies_too_soon_is_not_taken_over_again(
    connection, later, calls
):
    take_over(connection, DEAD, OWN, 100.0)
    assert len(take_over(connection, OWN, THIRD, 100.0 + later)) == calls


def test_a_process_that_was_declared_dead_writes_no_more(connection):
    take_over(connection, DEAD, OWN, 100.0)
    portable_calls.write(connection, DEAD.boot, {CALL: None})
    assert len(take_over(connection, OWN, THIRD, 200.0)) == 1


def test_a_call_that_cannot_go_on_any_more_is_not_taken_over(connection):
    portable_calls.write(connection, DEAD.boot, {CALL: None})
    assert take_over(connection, DEAD, OWN, 100.0) == []


def test_a_snapshot_of_another_version_is_left(connection):
    portable_calls.write(connection, DEAD.boot, {CALL: b"\xc1"})
    assert take_over(connection, DEAD, OWN, 100.0) == []
