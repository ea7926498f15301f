"""The SQLite file that all nodes share: which calls exist, which node owns them, and each key's rate bucket.

One row per call, written when it starts and when it ends. Live rows count against the limits, so that these
hold over all nodes, and remain when a process is killed. Transactions serialise two nodes that want the last
free call, and leave nothing half-written. Too slow for the media path, which does not need it.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from bridge.call.model import CallFacts, CallId, CallRecord, Direction, EndReason, LineName, State
from bridge.call.quota import Quota

FOLDER = "nodes"
"""Below the data folder: this file, and the nodes' sockets."""
FILE = "directory.sqlite3"
BUSY_SECONDS = 5.0

Spend: TypeAlias = Callable[[tuple[float, float] | None, float], tuple[float, float]]
"""Returns a bucket's tokens and time, from those before (None for a new one) and the time now; may raise."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    node INTEGER NOT NULL,
    line TEXT NOT NULL,
    peer TEXT NOT NULL,
    direction TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at REAL,
    reason TEXT,
    told INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS live_calls ON calls (line) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS ended_calls ON calls (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ended_calls_of_line ON calls (line, ended_at)
    WHERE ended_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS buckets (
    key BLOB PRIMARY KEY,
    tokens REAL NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
"""
_DROP_OLDEST_OF_LINE = """
WITH of_line AS (SELECT line FROM calls WHERE call_id = ?)
DELETE FROM calls WHERE line = (SELECT line FROM of_line) AND ended_at < (
    SELECT ended_at FROM calls WHERE line = (SELECT line FROM of_line) AND ended_at IS NOT NULL
    ORDER BY ended_at DESC LIMIT 1 OFFSET ? - 1
)
"""
_COLUMNS = "call_id, line, peer, direction, started_at, ended_at, reason"
_Row: TypeAlias = tuple[str, str, str, str, float, float | None, str | None]


class DirectoryFile:
    """One process's connection to the file; every method blocks, and only one thread at a time may call."""

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        path.touch(mode=0o600)
        # Isolation level None: transactions begin only where this code says so.
        self._database = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing then; a power cut ends every call anyway.
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def insert(self, facts: CallFacts, direction: Direction, node: int, *, quota: Quota) -> None:
        """Insert a new call, if its line may have one more.

        Raises:
            LimitExceeded: the limit of all nodes, or the line's share of it, is reached.
        """
        with self._transaction():
            of_line = self._count("ended_at IS NULL AND line = ?", facts.line)
            quota.check(of_line=of_line, of_all=self._count("ended_at IS NULL"))
            row = (facts.call_id, node, facts.line, facts.peer, direction)
            self._database.execute(
                "INSERT INTO calls (call_id, node, line, peer, direction, started_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (*row, facts.started_at.timestamp()),
            )

    def delete(self, call_id: CallId) -> None:
        """Delete a call that never started."""
        self._database.execute("DELETE FROM calls WHERE call_id = ?", (call_id,))

    def end(
        self, call_id: CallId, reason: EndReason, *, kept_seconds: float, per_line: int
    ) -> None:
        """Mark a call as ended; delete those that ended too long ago, and its line's oldest beyond `per_line`."""
        now = _now()
        with self._transaction():
            self._database.execute(
                "UPDATE calls SET ended_at = ?, reason = ?, told = 1 "
                "WHERE call_id = ? AND ended_at IS NULL",
                (now, reason, call_id),
            )
            self._database.execute("DELETE FROM calls WHERE ended_at < ?", (now - kept_seconds,))
            self._database.execute(_DROP_OLDEST_OF_LINE, (call_id, per_line))

    def end_live(self, node: int | None = None) -> int:
        """End the live calls of a node that was killed, or of all nodes; return how many there were."""
        whose = "" if node is None else "AND node = ?"
        return self._database.execute(
            f"UPDATE calls SET ended_at = ?, reason = ? WHERE ended_at IS NULL {whose}",  # noqa: S608
            (_now(), EndReason.NODE_LOST, *(() if node is None else (node,))),
        ).rowcount

    def recover(self, node: int) -> tuple[list[CallRecord], list[CallRecord]]:
        """Return the ended calls of a node's previous process, and, once, those that its end cut off."""
        self.end_live(node)
        with self._transaction():
            kept = self._find("node = ? AND told", node)
            cut_off = self._find("node = ? AND NOT told", node)
            self._database.execute("UPDATE calls SET told = 1 WHERE node = ?", (node,))
        return kept, cut_off

    def find(self, call_id: str) -> CallRecord | None:
        """Return a call; its state is `ended`, or `initiated` while its node alone knows it."""
        return next(iter(self._find("call_id = ?", call_id)), None)

    def live_calls(self) -> dict[int, int]:
        """Count the live calls of each node that has any."""
        counts = "SELECT node, count(*) FROM calls WHERE ended_at IS NULL GROUP BY node"
        return dict(self._database.execute(counts).fetchall())

    def spend(self, key: bytes, spend: Spend) -> float:
        """Update a bucket and return the tokens left; raises what `spend` raises."""
        now = _now()
        with self._transaction():
            row = self._database.execute("SELECT tokens, at FROM buckets WHERE key = ?", (key,))
            tokens, at = spend(row.fetchone(), now)
            self._database.execute("REPLACE INTO buckets VALUES (?, ?, ?)", (key, tokens, at))
        return tokens

    def _count(self, where: str, *values: str) -> int:
        found = self._database.execute(f"SELECT count(*) FROM calls WHERE {where}", values)  # noqa: S608
        return int(found.fetchone()[0])

    def _find(self, where: str, *values: str | int) -> list[CallRecord]:
        wanted = f"SELECT {_COLUMNS} FROM calls WHERE {where} ORDER BY ended_at"  # noqa: S608
        return [_record(row) for row in self._database.execute(wanted, values)]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # Immediate: a reader that will write waits here, not half-way.
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _record(row: _Row) -> CallRecord:
    call_id, line, peer, direction, started_at, ended_at, reason = row
    began = datetime.fromtimestamp(started_at, UTC)
    return CallRecord(
        facts=CallFacts(CallId(call_id), LineName(line), peer, began),
        direction=Direction(direction),
        state=State.INITIATED if ended_at is None else State.ENDED,
        reason=EndReason(reason) if reason else None,
        seconds=max(0.0, (_now() if ended_at is None else ended_at) - started_at),
        legs=(),
    )


def _now() -> float:
    """Wall time: shared by all processes, and continuous over a restart."""
    return datetime.now(UTC).timestamp()
