"""The table of pending and dead deliveries; every function runs in a transaction of `Database`.

A lane holds one receiver's deliveries of one call: only the first pending one has a `due` time, which keeps
them in order and makes the others cost nothing meanwhile.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from bridge.db.database import Connection, count_rows, marks
from bridge.stores import endpoints
from bridge.stores.endpoints import Endpoint
from bridge.wire.call_event import CallEvent
from bridge.wire.webhook.formats import Style, wants

REPLAY_PAGE: Final = 200
LANES: Final = 20
"""Lanes looked up in one statement."""
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
    first_at: float
    attempts: int
    event: CallEvent
    endpoint: Endpoint | None
    """None if it is gone; a call's own callback is one without an entry in the table of endpoints."""


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


class _Row(NamedTuple):
    """A delivery to be appended to its lane."""

    number: int
    node: int
    line: str
    receiver: str
    lane: str
    style: str
    url: str
    first_at: float


class Addition(NamedTuple):
    """An event that is to be delivered."""

    number: int
    event: CallEvent
    node: int
    callback: Callback | None
    without: frozenset[Style]
    """Styles whose endpoints are left out."""


def add(connection: Connection, additions: Iterable[Addition]) -> None:
    """Add a delivery of each event for each endpoint that wants it, and for the call's own callback."""
    known: dict[str, list[Endpoint]] = {}
    rows = []
    for number, event, node, callback, without in additions:
        if event.line not in known:
            known[event.line] = endpoints.of_line(connection, event.line)
        receivers = [
            (endpoint.id, endpoint.style, "")
            for endpoint in known[event.line]
            if endpoint.style not in without and endpoint.wants(event)
        ]
        if callback is not None and wants((), callback.style, event):
            receivers.append((CALLBACK + callback.url, callback.style, callback.url))
        call_id = event.call.id if event.call else ""
        for receiver, style, url in receivers:
            lane = f"{receiver} {style} {call_id}"
            at = event.at.timestamp()
            rows.append(_Row(number, node, event.line, receiver, lane, style.value, url, at))
    _append(connection, rows)


def due(
    connection: Connection, *, node: int, now: float, each: int, busy: Container[str]
) -> tuple[list[Job], float | None]:
    """Return the deliveries of a node that are due, and when the next one will be.

    Each receiver gets at most `each`, including those in `busy`: lanes whose first delivery is on its way.
    """
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
            if lane not in busy:
                event = msgspec.json.decode(body, type=CallEvent)
                to = endpoint
                if url:
                    to = Endpoint(
                        id=receiver,
                        line=event.line,
                        url=url,
                        style=Style(style),
                        created_at=first_at,
                    )
                jobs.append(Job(seq, lane, receiver, first_at, attempts, event, to))
    return jobs, min(later, default=None)


def waiting(connection: Connection, node: int) -> int:
    """Count a node's pending deliveries."""
    return count_rows(connection, "deliveries WHERE node = ? AND dead_at IS NULL", (node,))


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What has become of an attempt to deliver."""

    seq: int
    lane: str
    at: float
    error: str | None = None
    """None: it was delivered."""
    due_at: float | None = None
    """When it is tried again; None after a failure: it is dead."""


def conclude(connection: Connection, outcome: Outcome) -> None:
    """Delete a delivery, postpone it, or mark it as dead; the next in its lane is due unless it is postponed."""
    if outcome.error is None:
        connection.execute("DELETE FROM deliveries WHERE seq = ?", (outcome.seq,))
    else:
        connection.execute(
            "UPDATE deliveries SET attempts = attempts + 1, due = ?, error = ?, dead_at = ? "
            "WHERE seq = ?",
            (
                outcome.due_at,
                outcome.error,
                outcome.at if outcome.due_at is None else None,
                outcome.seq,
            ),
        )
    if outcome.due_at is None:
        connection.execute(
            "UPDATE deliveries SET due = ? WHERE seq = "
            "(SELECT min(seq) FROM deliveries WHERE lane = ? AND dead_at IS NULL) AND due IS NULL",
            (outcome.at, outcome.lane),
        )


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
    """Make a page of a line's dead deliveries pending again at the end of their lanes, now of this node.

    Only those in `numbers`, unless that is None; those of deleted endpoints stay dead. A page is the
    first `REPLAY_PAGE` after the number `after`, since other transactions wait meanwhile. Returns how
    many are pending again, and `after` for the next page; None for the last.
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
            _append(connection, [_Row(number, node, line, receiver, lane, style, url, now)])
            count += 1
    return count, rows[-1][0] if len(rows) == REPLAY_PAGE else None


def _append(connection: Connection, rows: list[_Row]) -> None:
    """Append deliveries to their lanes; the first of an empty lane is due at once."""
    busy: set[str] = set()
    lanes = list({row.lane for row in rows})
    for first in range(0, len(lanes), LANES):
        # One or always as many, so that there are two statements to prepare.
        padding = [None] * LANES if len(lanes) > 1 else []
        some = [*lanes[first : first + LANES], *padding][: max(1, len(padding))]
        found = connection.execute(
            "SELECT DISTINCT lane FROM deliveries "  # noqa: S608
            f"WHERE lane IN {marks(some)} AND dead_at IS NULL",
            some,
        )
        busy.update(lane for (lane,) in found)
    values = []
    for row in rows:
        values.append((*row, None if row.lane in busy else row.first_at))
        busy.add(row.lane)
    if values:
        connection.executemany(
            "INSERT INTO deliveries (event, node, line, receiver, lane, style, url, first_at, due) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
