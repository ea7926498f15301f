"""The tables of events and of live calls; every function runs in a transaction of `Database`.

An event is written in one transaction with what has to be delivered because of it. Digits may be a PIN
or a card number: some time after the end of their call their events get empty ones, except those that
still wait for a webhook.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from bridge.db.database import Connection
from bridge.stores import deliveries, nodes
from bridge.stores.deliveries import Addition, Callback
from bridge.stores.nodes import Member
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.webhook.formats import Style

PAGE: Final = 200
DIGIT_FIELDS: Final = ("digit", "digits")
DIGITS_PAGE: Final = 500

Numbered: TypeAlias = tuple[int, CallEvent]
"""An event and its place in the order of all events."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An event to be inserted, and what has to be delivered because of it."""

    body: bytes
    """The event as JSON."""
    node: int
    boot: str
    """Which process it is of."""
    callback: Callback | None = None
    without: frozenset[Style] = frozenset()
    """Styles whose endpoints do not get it."""
    at: float = 0.0
    """When it happened, on the clock that all nodes share."""


def entry_of(
    event: CallEvent,
    own: Member,
    callback: Callback | None,
    without: frozenset[Style] = frozenset(),
    *,
    at: float = 0.0,
) -> Entry:
    """Return an event of node `own` as it is inserted; `at` is the time on the clock that all nodes share.

    Raises:
        TypeError: it cannot be encoded; or ValueError.
    """
    return Entry(msgspec.json.encode(event), own.node, own.boot, callback, without, at)


def insert(
    connection: Connection, event: CallEvent, *, own: Member, callback: Callback | None
) -> bool:
    """Insert one event; return whether there was none with its id."""
    return insert_all(connection, [entry_of(event, own, callback)]) == 1


def insert_all(connection: Connection, entries: Sequence[Entry]) -> int:
    """Insert events in their order, and a delivery for each endpoint that wants one (`deliveries.add`).

    Leaves out those whose id is there; returns how many were not. The number of statements does not grow with
    that of events.
    """
    events = [msgspec.json.decode(entry.body, type=CallEvent) for entry in entries]
    rows = connection.executemany(
        "INSERT INTO events (id, line, call_id, at, body) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING RETURNING id, seq",
        [
            (one.id, one.line, one.call and one.call.id, one.at.timestamp(), entry.body)
            for one, entry in zip(events, entries, strict=True)
        ],
    )
    numbers: dict[str, int] = dict(rows.fetchall())
    new = [
        (number, event, entry)
        for event, entry in zip(events, entries, strict=True)
        if (number := numbers.pop(event.id, None)) is not None
    ]
    _keep_digits(connection, [(number, event) for number, event, _ in new])
    _follow_calls(connection, [(event, entry) for _, event, entry in new])
    deliveries.add(
        connection,
        [
            Addition(number, event, entry.node, entry.callback, entry.without)
            for number, event, entry in new
        ],
    )
    return len(new)


def insert_timely(connection: Connection, entries: Sequence[Entry]) -> set[str]:
    """Insert events, but not what a process did after it was found to have ended.

    Returns the boot ids of the processes that have ended: their calls have to be ended again.
    """
    found = {boot: nodes.ended_at(connection, boot) for boot in {one.boot for one in entries}}
    ended = {boot: at for boot, at in found.items() if at is not None}
    insert_all(connection, [one for one in entries if one.at < ended.get(one.boot, math.inf)])
    return set(ended)


def read(
    connection: Connection,
    *,
    after: int,
    line: str | None = None,
    call_id: str | None = None,
    limit: int = PAGE,
) -> list[Numbered]:
    """Return a page of events after a number, oldest first: of all lines, one line, or one of its calls."""
    wanted = {"line": line, "call_id": call_id}
    equal = {column: value for column, value in wanted.items() if value is not None}
    conditions = "".join(f" AND {column} = ?" for column in equal)
    rows = connection.execute(
        f"SELECT seq, body FROM events WHERE seq > ?{conditions} ORDER BY seq LIMIT ?",  # noqa: S608
        (after, *equal.values(), limit),
    )
    return [(seq, msgspec.json.decode(body, type=CallEvent)) for seq, body in rows]


def last(connection: Connection) -> int:
    """Return the number of the last event that is still there; later events have greater ones."""
    return connection.execute("SELECT max(seq) FROM events").fetchone()[0] or 0


def forget(connection: Connection, *, events_before: float, dead_before: float) -> None:
    """Delete old dead deliveries, and old events without deliveries."""
    connection.execute("DELETE FROM deliveries WHERE dead_at < ?", (dead_before,))
    connection.execute(
        "DELETE FROM events WHERE at < ? "
        "AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = events.seq)",
        (events_before,),
    )


def forget_digits(connection: Connection, *, ended_before: float) -> None:
    """Remove the digits from a page of events of calls that ended before, unless a delivery waits."""
    rows = connection.execute(
        "SELECT d.event, e.body FROM digit_events d LEFT JOIN events e ON e.seq = d.event "
        "WHERE d.ended_at <= ? AND NOT EXISTS "
        "(SELECT 1 FROM deliveries WHERE event = d.event AND dead_at IS NULL) LIMIT ?",
        (ended_before, DIGITS_PAGE),
    ).fetchall()
    for number, body in rows:
        if body is not None:
            event = msgspec.json.decode(body, type=CallEvent)
            kept = {name: "" if name in DIGIT_FIELDS else text for name, text in event.data.items()}
            without = msgspec.structs.replace(event, data=kept)
            connection.execute(
                "UPDATE events SET body = ? WHERE seq = ?", (msgspec.json.encode(without), number)
            )
        connection.execute("DELETE FROM digit_events WHERE event = ?", (number,))


def erase(connection: Connection, *, line: str, call_id: str) -> None:
    """Delete the events of a line's call that has ended, and their deliveries.

    Events of what outlived the call's record do not have it, but may name it.
    """
    [*numbers] = connection.execute(
        "SELECT seq FROM events WHERE call_id = ? AND line = ? UNION ALL "
        "SELECT seq FROM events WHERE call_id IS NULL AND line = ? AND instr(body, ?) > 0",
        (call_id, line, line, call_id.encode()),
    )
    connection.executemany("DELETE FROM deliveries WHERE event = ?", numbers)
    connection.executemany("DELETE FROM digit_events WHERE event = ?", numbers)
    connection.executemany("DELETE FROM events WHERE seq = ?", numbers)


def _keep_digits(connection: Connection, events: list[tuple[int, CallEvent]]) -> None:
    """Note which events have digits, for `forget_digits`."""
    rows = [
        (number, event.call.id, event.at.timestamp() if event.call.reason else None)
        for number, event in events
        if event.call is not None and any(event.data.get(field) for field in DIGIT_FIELDS)
    ]
    if rows:
        connection.executemany("INSERT INTO digit_events VALUES (?, ?, ?)", rows)


def _follow_calls(connection: Connection, events: list[tuple[CallEvent, Entry]]) -> None:
    """Keep the last event of each live call, for recovery after a crash."""
    live: dict[str, Entry] = {}
    ended: dict[str, float] = {}
    for event, entry in events:
        if event.call is None:
            continue
        if event.type == EventType.CALL_ENDED:
            ended[event.call.id] = event.at.timestamp()
            live.pop(event.call.id, None)
        elif not event.call.reason:
            live[event.call.id] = entry
    if ended:
        connection.executemany(
            "DELETE FROM open_calls WHERE call_id = ?", [(call_id,) for call_id in ended]
        )
        connection.executemany(
            "UPDATE digit_events SET ended_at = ? WHERE call_id = ? AND ended_at IS NULL",
            [(at, call_id) for call_id, at in ended.items()],
        )
    if live:
        connection.executemany(
            "INSERT INTO open_calls (call_id, node, boot, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (call_id) DO UPDATE "
            "SET node = excluded.node, boot = excluded.boot, body = excluded.body",
            [(call_id, entry.node, entry.boot, entry.body) for call_id, entry in live.items()],
        )
