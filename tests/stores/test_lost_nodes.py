"""What processes that have ended left, and what is left to those that run."""

from datetime import UTC, datetime

import pytest

from bridge.db.database import wall_time
from bridge.stores import events, lost_nodes, nodes
from bridge.stores.nodes import Member
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from tests.support.databases import connected

ALIVE, LOST = Member(node=0, boot="alive"), Member(node=1, boot="lost")


@pytest.fixture
def connection(engine):
    with connected(engine) as opened:
        nodes.register(opened, ALIVE, launch_id="run", now=1.0)
        yield opened


def begin_call(connection, call_id, own):
    call = CallSnapshot(
        id=call_id, direction="outbound", state="active", peer="1", started_at=datetime.now(UTC)
    )
    event = CallEvent(
        id=f"evt_{call_id}",
        type=EventType.CALL_INITIATED,
        line="one",
        at=datetime.now(UTC),
        call=call,
    )
    events.insert(connection, event, own=own, callback=None)


def test_open_calls_of_processes_that_are_not_registered_are_found(connection):
    begin_call(connection, "a", ALIVE)
    begin_call(connection, "b", LOST)
    assert [event.id for event, _ in lost_nodes.open_calls(connection)] == ["evt_b"]
    lost_nodes.close(connection, "b")
    assert lost_nodes.open_calls(connection) == []


def test_calls_and_dials_that_a_provider_has_to_end_are_assigned(connection):
    for own in (ALIVE, LOST):
        connection.execute(
            "INSERT INTO whatsapp_calls (wacid, line, node, boot, began_at) VALUES (?, 'one', ?, ?, 0)",
            (own.boot, own.node, own.boot),
        )
        connection.execute(
            "INSERT INTO whatsapp_dials (id, opaque, line, node, boot) VALUES (?, ?, 'one', ?, ?)",
            (own.node, own.boot, own.node, own.boot),
        )
    lost_nodes.assign(connection, ALIVE)
    for table, name in (("whatsapp_calls", "wacid"), ("whatsapp_dials", "opaque")):
        rows = connection.execute(
            f"SELECT {name}, boot, orphaned FROM {table} ORDER BY node, {name}"
        )
        assert sorted(rows.fetchall()) == [("alive", "alive", 0), ("lost", "alive", 1)]


def test_a_lost_nodes_webhooks_are_due_at_once_whatever_its_clock_was(connection):
    add = (
        "INSERT INTO deliveries (event, node, line, receiver, lane, style, url, first_at, due) "
        "VALUES (1, ?, 'one', 'wh', ?, 'native', '', 0, ?)"
    )
    ahead, waits = wall_time() + 3600, None
    rows = [(ALIVE.node, "a", ahead), (LOST.node, "b", ahead), (LOST.node, "c", waits)]
    connection.executemany(add, [*rows, (LOST.node, "d", 5.0)])
    lost_nodes.assign(connection, ALIVE)
    found = connection.execute("SELECT lane, node, due FROM deliveries ORDER BY lane").fetchall()
    assert [(lane, node) for lane, node, _ in found] == [(lane, ALIVE.node) for lane in "abcd"]
    dues = {lane: due for lane, _, due in found}
    assert (dues["a"], dues["c"], dues["d"]) == (ahead, None, 5.0)
    assert dues["b"] <= wall_time()
