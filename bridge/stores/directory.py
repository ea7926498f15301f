"""The tables that all nodes share: which calls exist, which node owns them, and each key's rate bucket.

One row per call, written when it starts and when it ends; every function runs in a transaction of `Database`.
Live rows count against the limits, so that these hold over all nodes, and remain when a process is killed.
Too slow for the media path, which does not need it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeAlias

from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName, State
from bridge.call.quota import Quota
from bridge.db.database import Connection, count_rows, wall_time

FOLDER: Final = "nodes"
"""Below the data folder: the nodes' sockets."""

Spend: TypeAlias = Callable[[tuple[float, float] | None, float], tuple[float, float]]
"""Returns a bucket's tokens and time, from those before (None for a new one) and the time now; may raise."""

_COLUMNS: Final = "call_id, line, peer, direction, started_at, ended_at, reason"
_Row: TypeAlias = tuple[str, str, str, str, float, float | None, str | None]


def insert(
    connection: Connection,
    facts: CallFacts,
    direction: Direction,
    *,
    node: int,
    boot: str,
    quota: Quota,
) -> None:
    """Insert a new call, if its line may have one more.

    Raises:
        LimitExceeded: the limit of all nodes, or the line's share of it, is reached.
    """
    live = "calls WHERE ended_at IS NULL"
    of_line = count_rows(connection, f"{live} AND line = ?", (facts.line,))
    quota.check(of_line=of_line, of_all=count_rows(connection, live))
    connection.execute(
        "INSERT INTO calls (call_id, node, boot, line, peer, direction, started_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            facts.call_id,
            node,
            boot,
            facts.line,
            facts.peer,
            direction.value,
            facts.started_at.timestamp(),
        ),
    )


def delete(connection: Connection, call_id: str) -> None:
    """Delete a call: it never started, or is to be forgotten."""
    connection.execute("DELETE FROM calls WHERE call_id = ?", (call_id,))


def end(
    connection: Connection,
    call_id: str,
    reason: EndReason,
    *,
    kept_seconds: float,
    per_line: int,
) -> None:
    """Mark a call as ended; delete those that ended too long ago, and its line's oldest beyond `per_line`."""
    now = connection.now()
    ended = connection.execute(
        "UPDATE calls SET ended_at = ?, reason = ? "
        "WHERE call_id = ? AND ended_at IS NULL RETURNING line",
        (now, reason.value, call_id),
    ).fetchall()
    connection.execute("DELETE FROM calls WHERE ended_at < ?", (now - kept_seconds,))
    for (line,) in ended:
        connection.execute(
            "DELETE FROM calls WHERE line = ?1 AND ended_at < (SELECT ended_at FROM calls "
            "WHERE line = ?1 AND ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT 1 OFFSET ?2)",
            (line, per_line - 1),
        )


def ended(connection: Connection, node: int) -> list[CallRecord]:
    """Return the ended calls of all processes with a node's number."""
    return _find(connection, "node = ? AND ended_at IS NOT NULL", node)


def find(connection: Connection, call_id: str) -> CallRecord | None:
    """Return a call; its state is `ended`, or `initiated` while its node alone knows it."""
    return next(iter(_find(connection, "call_id = ?", call_id)), None)


def live_calls(connection: Connection) -> dict[int, int]:
    """Count the live calls of each node that has any."""
    counts = "SELECT node, count(*) FROM calls WHERE ended_at IS NULL GROUP BY node"
    return dict(connection.execute(counts).fetchall())


def spend(connection: Connection, key: bytes, spend: Spend) -> float:
    """Update a bucket and return the tokens left; raises what `spend` raises."""
    row = connection.execute("SELECT tokens, at FROM buckets WHERE key = ?", (key,)).fetchone()
    tokens, at = spend(row, connection.now())
    connection.execute(
        "INSERT INTO buckets (key, tokens, at) VALUES (?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET tokens = excluded.tokens, at = excluded.at",
        (key, tokens, at),
    )
    return tokens


def _find(connection: Connection, where: str, *values: str | int) -> list[CallRecord]:
    wanted = f"SELECT {_COLUMNS} FROM calls WHERE {where} ORDER BY ended_at"  # noqa: S608
    return [_record(row) for row in connection.execute(wanted, values).fetchall()]


def _record(row: _Row) -> CallRecord:
    call_id, line, peer, direction, started_at, ended_at, reason = row
    began = datetime.fromtimestamp(started_at, UTC)
    return CallRecord(
        facts=CallFacts(CallId(call_id), LineName(line), peer, began),
        direction=Direction(direction),
        state=State.INITIATED if ended_at is None else State.ENDED,
        reason=EndReason(reason) if reason else None,
        seconds=max(0.0, (wall_time() if ended_at is None else ended_at) - started_at),
        legs=(),
    )
