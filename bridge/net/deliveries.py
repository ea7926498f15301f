"""The table of pending and dead deliveries; every function runs within a `Database` work.

A lane holds one receiver's deliveries of one call: only the first pending one has a `due` time, which keeps
them in order and makes the others cost nothing meanwhile.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

import msgspec

from bridge.net import endpoints
from bridge.net.endpoints import Endpoint
from bridge.wire.call_event import CallEvent
from bridge.wire.webhook import Style, wants

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL,
    node INTEGER NOT NULL,
    line TEXT NOT NULL,
    receiver TEXT NOT NULL,
    lane TEXT NOT NULL,
    style TEXT NOT NULL,
    url TEXT NOT NULL,
    first_at REAL NOT NULL,
    due REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    dead_at REAL
);
CREATE INDEX IF NOT EXISTS due_deliveries ON deliveries (node, receiver, due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS lanes ON deliveries (lane, seq) WHERE dead_at IS NULL;
CREATE INDEX IF NOT EXISTS dead_deliveries ON deliveries (line, seq) WHERE dead_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS delivered_events ON deliveries (event);
"""
REPLAY_PAGE: Final = 200
CALLBACK: Final = "callback "
"""Precedes the URL in the name of a receiver that is a call's callback."""


_RECEIVERS: Final = """
WITH RECURSIVE found (receiver) AS (
    SELECT min(receiver) FROM deliveries WHERE node = :node AND due IS NOT NULL
    UNION ALL
    SELECT (SELECT min(receiver) FROM deliveries
        WHERE node = :node AND due IS NOT NULL AND receiver > found.receiver)
    FROM found WHERE found.receiver IS NOT NULL
)
SELECT receiver FROM found WHERE receiver IS NOT NULL
"""
"""Skips through the index from receiver to receiver; a plain query would scan every delivery."""


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery that is due."""

    seq: int
    lane: str
    receiver: str
    style: Style
    url: str
    """Where a call's own callback goes; empty for an endpoint."""
    first_at: float
    attempts: int
    event: CallEvent
    endpoint: Endpoint | None
    """None for a callback, and for an endpoint that is gone."""


@dataclass(frozen=True, slots=True)
class Dead:
    """One delivery that was given up."""

    seq: int
    endpoint: str
    url: str
    attempts: int
    error: str
    dead_at: float
    event: CallEvent


@dataclass(frozen=True, slots=True)
class Callback:
    """Where a call's own events go, besides the line's endpoints."""

    url: str
    style: Style


def add(
    connection: Connection,
    number: int,
    event: CallEvent,
    *,
    node: int,
    callback: Callback | None,
    without: frozenset[Style] = frozenset(),
) -> None:
    """Add a delivery of an event for each endpoint that wants it, and for the call's own callback.

    Endpoints of the styles in `without` are left out.
    """
    receivers = [
        (endpoint.id, endpoint.style, "")
        for endpoint in endpoints.of_line(connection, event.line)
        if endpoint.style not in without and endpoint.wants(event)
    ]
    if callback is not None and wants((), callback.style, event):
        receivers.append((CALLBACK + callback.url, callback.style, callback.url))
    call_id = event.call.id if event.call else ""
    for receiver, style, url in receivers:
        lane = f"{receiver} {style} {call_id}"
        at = event.at.timestamp()
        _wait(connection, (number, node, event.line, receiver, lane, style.value, url, at))


def reassign(connection: Connection, *, count: int) -> None:
    """Assign to node 0 the deliveries of nodes that no longer exist."""
    connection.execute("UPDATE deliveries SET node = 0 WHERE node >= ?", (count,))


def due(
    connection: Connection, *, node: int, now: float, each: int, busy: Iterable[str]
) -> tuple[list[Job], float | None]:
    """Return the deliveries that are due, and when the next one will be.

    Args:
        connection: of the work.
        node: whose deliveries.
        now: in seconds of wall time.
        each: how many each receiver gets at most, those in `busy` included.
        busy: lanes whose first delivery is on its way.
    """
    taken = frozenset(busy)
    jobs = []
    later: list[float] = []
    for (receiver,) in connection.execute(_RECEIVERS, {"node": node}).fetchall():
        following = connection.execute(
            "SELECT min(due) FROM deliveries WHERE node = ? AND receiver = ? AND due > ?",
            (node, receiver, now),
        ).fetchone()[0]
        if following is not None:
            later.append(following)
        endpoint = endpoints.find(connection, receiver)
        rows = connection.execute(
            "SELECT d.seq, d.lane, d.style, d.url, d.first_at, d.attempts, e.body "
            "FROM deliveries d JOIN events e ON e.seq = d.event "
            "WHERE d.node = ? AND d.receiver = ? AND d.due <= ? ORDER BY d.due, d.seq LIMIT ?",
            (node, receiver, now, each),
        )
        for seq, lane, style, url, first_at, attempts, body in rows:
            if lane not in taken:
                event = msgspec.json.decode(body, type=CallEvent)
                place = (seq, lane, receiver, Style(style), url, first_at, attempts)
                jobs.append(Job(*place, event, endpoint))
    return jobs, min(later, default=None)


def waiting(connection: Connection, node: int) -> int:
    """Count a node's pending deliveries."""
    row = connection.execute(
        "SELECT count(*) FROM deliveries WHERE node = ? AND dead_at IS NULL", (node,)
    ).fetchone()
    return int(row[0])


def delivered(connection: Connection, job: Job, now: float) -> None:
    """Delete a delivery, and make the next in its lane due."""
    connection.execute("DELETE FROM deliveries WHERE seq = ?", (job.seq,))
    _advance(connection, job.lane, now)


def postpone(connection: Connection, job: Job, *, due_at: float, error: str) -> None:
    """Record a failed attempt and the time of the next one."""
    connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, due = ?, error = ? WHERE seq = ?",
        (due_at, error, job.seq),
    )


def give_up(connection: Connection, job: Job, *, error: str, now: float) -> None:
    """Mark a delivery as dead, and make the next in its lane due."""
    connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, due = NULL, error = ?, dead_at = ? "
        "WHERE seq = ?",
        (error, now, job.seq),
    )
    _advance(connection, job.lane, now)


def dead(connection: Connection, line: str, *, after: int, limit: int) -> list[Dead]:
    """Return a page of a line's dead deliveries after a number, oldest first."""
    rows = connection.execute(
        "SELECT d.seq, d.receiver, d.url, d.attempts, d.error, d.dead_at, e.body "
        "FROM deliveries d JOIN events e ON e.seq = d.event "
        "WHERE d.line = ? AND d.dead_at IS NOT NULL AND d.seq > ? ORDER BY d.seq LIMIT ?",
        (line, after, limit),
    )
    return [
        Dead(
            seq, receiver, url, attempts, error, dead_at, msgspec.json.decode(body, type=CallEvent)
        )
        for seq, receiver, url, attempts, error, dead_at, body in rows
    ]


def replay(
    connection: Connection,
    line: str,
    *,
    node: int,
    now: float,
    numbers: Container[int] | None,
    after: int,
) -> tuple[int, int | None]:
    """Make a page of a line's dead deliveries, or some of them, pending again at the end of their lanes.

    Those of deleted endpoints stay dead.

    Args:
        connection: of the work, which looks at `REPLAY_PAGE` of them only: other works wait for it.
        line: whose deliveries.
        node: who delivers them.
        now: in seconds of wall time.
        numbers: which of them; None for all.
        after: the number that the last page ended with; 0 at first.

    Returns:
        How many wait again, and the number that the page ended with; None where it was the last.
    """
    rows = connection.execute(
        "SELECT seq, event, receiver, lane, style, url FROM deliveries "
        "WHERE line = ? AND dead_at IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?",
        (line, after, REPLAY_PAGE),
    ).fetchall()
    known = {endpoint.id for endpoint in endpoints.of_line(connection, line)}
    count = 0
    for seq, number, receiver, lane, style, url in rows:
        if (numbers is None or seq in numbers) and (url or receiver in known):
            connection.execute("DELETE FROM deliveries WHERE seq = ?", (seq,))
            _wait(connection, (number, node, line, receiver, lane, style, url, now))
            count += 1
    return count, rows[-1][0] if len(rows) == REPLAY_PAGE else None


def _wait(connection: Connection, row: tuple[object, ...]) -> None:
    """Append a delivery to its lane; it is due at once if the lane is empty."""
    lane, now = row[4], row[7]
    before = connection.execute(
        "SELECT 1 FROM deliveries WHERE lane = ? AND dead_at IS NULL LIMIT 1", (lane,)
    ).fetchone()
    connection.execute(
        "INSERT INTO deliveries (event, node, line, receiver, lane, style, url, first_at, due) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, None if before else now),
    )


def _advance(connection: Connection, lane: str, now: float) -> None:
    connection.execute(
        "UPDATE deliveries SET due = ? WHERE seq = "
        "(SELECT min(seq) FROM deliveries WHERE lane = ? AND dead_at IS NULL) AND due IS NULL",
        (now, lane),
    )
