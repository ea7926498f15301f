"""What the database has of a call names the process that goes on with it."""

import pytest

from bridge.stores import events, handover, lost_nodes, nodes
from bridge.stores.handover import Move
from bridge.stores.nodes import Member
from tests.stores.test_lost_nodes import begin_call
from tests.support.databases import connected, insert_call

FORMER, SUCCESSOR = Member(node=0, boot="former"), Member(node=1, boot="successor")
MOVE = Move("a", FORMER.boot, SUCCESSOR.node, SUCCESSOR.boot, ["one\nwa.a"])


@pytest.fixture
def connection(engine):
    with connected(engine) as opened:
        for one in (FORMER, SUCCESSOR):
            nodes.register(opened, one, launch_id="run", now=1.0)
        for call_id in ("a", "b"):
            begin_call(opened, call_id, FORMER)
            insert_call(opened, call_id, FORMER)
            opened.execute(
                "INSERT INTO whatsapp_calls (wacid, line, node, boot, began_at) VALUES (?, 'one', ?, ?, 0)",
                (f"one\nwa.{call_id}", FORMER.node, FORMER.boot),
            )
        yield opened


def owners(connection):
    return {
        table: connection.execute(f"SELECT node, boot FROM {table} ORDER BY {key}").fetchall()
        for table, key in (
            ("calls", "call_id"),
            ("open_calls", "call_id"),
            ("whatsapp_calls", "wacid"),
        )
    }


def test_a_call_that_moved_is_not_lost_with_the_process_that_had_it(connection):
    for _ in range(2):  # the second time changes nothing
        assert handover.move(connection, MOVE)
    for table in owners(connection).values():
        assert table == [(1, "successor"), (0, "former")]
    nodes.end(connection, [FORMER.boot], now=2.0)
    [(lost, _)] = lost_nodes.open_calls(connection)
    assert lost.call is not None
    assert lost.call.id == "b"
    assert [handover.owner(connection, one) for one in ("a", "b", "c")] == [1, 0, None]
    assert handover.move(connection, MOVE)


def test_a_process_that_was_found_to_have_ended_has_no_more_calls_to_pass_on(connection):
    nodes.end(connection, [FORMER.boot], now=2.0)
    assert not handover.move(connection, MOVE)
    assert owners(connection)["calls"] == [(0, "former")] * 2


def test_events_of_the_successor_keep_the_call_its_own(connection):
    handover.move(connection, MOVE)
    begin_call(connection, "c", SUCCESSOR)
    assert events.last(connection) == 3
    assert owners(connection)["open_calls"][-1] == (1, "successor")
