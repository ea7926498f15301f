"""The tables of events and of live calls; every function runs within a `Database` work.

An event is written in one transaction with what has to be delivered because of it.
"""

import sqlite3
from typing import Final, TypeAlias

import msgspec

from bridge.net import deliveries, digit_events
from bridge.net.deliveries import Callback
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.webhook import Style

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    line TEXT NOT NULL,
    call_id TEXT,
    at REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_line ON events (line, seq);
CREATE INDEX IF NOT EXISTS events_of_call ON events (call_id, seq) WHERE call_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS old_events ON events (at);
CREATE TABLE IF NOT EXISTS open_calls (
    call_id TEXT PRIMARY KEY,
    node INTEGER NOT NULL,
    body BLOB NOT NULL
) WITHOUT ROWID;
"""
SCHEMA: Final = _TABLES + digit_events.SCHEMA
"""Of events, of those of them that hold digits, and of live calls."""

PAGE: Final = 200

Numbered: TypeAlias = tuple[int, CallEvent]
"""An event and its place in the order of all events."""


def insert(
    connection: sqlite3.Connection,
    event: CallEvent,
    *,
    node: int,
    callback: Callback | None,
    without: frozenset[Style] = frozenset(),
) -> None:
    """Insert an event, and a delivery for each endpoint that wants it (`deliveries.add`)."""
    call_id = event.call.id if event.call else None
    at, body = event.at.timestamp(), msgspec.json.encode(event)
    number = connection.execute(
        "INSERT INTO events (line, call_id, at, body) VALUES (?, ?, ?, ?)",
        (event.line, call_id, at, body),
    ).lastrowid
    if number is None:
        raise sqlite3.DatabaseError("the event got no number")
    digit_events.note(connection, number, event)
    _follow_call(connection, event, body, node)
    deliveries.add(connection, number, event, node=node, callback=callback, without=without)


def read(
    connection: sqlite3.Connection,
    *,
    after: int,
    line: str | None = None,
    call_id: str | None = None,
    limit: int = PAGE,
) -> list[Numbered]:
    """Return a page of events after a number, oldest first: of all lines, one line, or one of its calls."""
    conditions, values = ["seq > ?"], [after]
    wanted: list[object] = list(values)
    for column, value in (("line", line), ("call_id", call_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            wanted.append(value)
    rows = connection.execute(
        f"SELECT seq, body FROM events WHERE {' AND '.join(conditions)} "  # noqa: S608
        "ORDER BY seq LIMIT ?",
        (*wanted, limit),
    )
    return [(seq, msgspec.json.decode(body, type=CallEvent)) for seq, body in rows]


def last(connection: sqlite3.Connection) -> int:
    """Return the number of the last event ever written."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


def cut_off(connection: sqlite3.Connection, *, node: int, count: int) -> list[CallEvent]:
    """Return the last event of each call that a node's previous process left without an end.

    Node 0 also recovers the calls of nodes that no longer exist.
    """
    others = "OR node >= ?" if node == 0 else ""
    values = (node, count) if node == 0 else (node,)
    rows = connection.execute(
        f"SELECT body FROM open_calls WHERE node = ? {others}",  # noqa: S608
        values,
    )
    return [msgspec.json.decode(body, type=CallEvent) for (body,) in rows.fetchall()]


def forget(connection: sqlite3.Connection, *, events_before: float, dead_before: float) -> None:
    """Delete old dead deliveries, and old events without deliveries."""
    connection.execute("DELETE FROM deliveries WHERE dead_at < ?", (dead_before,))
    connection.execute(
        "DELETE FROM events WHERE at < ? "
        "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.seq)",
        (events_before,),
    )


def _follow_call(connection: sqlite3.Connection, event: CallEvent, body: bytes, node: int) -> None:
    """Keep the last event of each live call, for recovery after a crash."""
    if event.call is None:
        return
    if event.type == EventType.CALL_ENDED:
        connection.execute("DELETE FROM open_calls WHERE call_id = ?", (event.call.id,))
        digit_events.call_ended(connection, event.call.id, event.at.timestamp())
    elif not event.call.reason:
        connection.execute("REPLACE INTO open_calls VALUES (?, ?, ?)", (event.call.id, node, body))
