"""The WhatsApp calls, dials and permissions that outlive the process."""

import asyncio
import secrets
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bridge.call.model import LineName
from bridge.net.database import Database
from bridge.wire.cloud import PermissionReplied

KEPT_SECONDS: Final = 86400.0
"""How long after a call's end a repeated webhook is recognized."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS whatsapp_calls (
    wacid TEXT PRIMARY KEY,
    line TEXT NOT NULL,
    node INTEGER NOT NULL,
    began_at REAL NOT NULL,
    ended_at REAL
);
CREATE INDEX IF NOT EXISTS whatsapp_calls_ended ON whatsapp_calls (ended_at);
CREATE TABLE IF NOT EXISTS whatsapp_dials (
    id INTEGER PRIMARY KEY,
    opaque TEXT NOT NULL,
    line TEXT NOT NULL,
    node INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS whatsapp_permissions (
    line TEXT NOT NULL,
    person TEXT NOT NULL,
    granted INTEGER NOT NULL,
    permanent INTEGER NOT NULL,
    at REAL NOT NULL,
    expires_at REAL,
    PRIMARY KEY (line, person)
);
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """Somebody's last reply to a request for permission to call."""

    granted: bool
    permanent: bool
    at: float
    expires_at: float | None


class CloudStore:
    """One node's view of the tables that the providers of all lines share.

    A call's key is unique among all lines: providers put the line's name before their ids.
    """

    def __init__(
        self, database: Database, *, node: int, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        """Open the view, and create missing tables; waits for the disk.

        Args:
            database: the bridge's.
            node: this node's index.
            kept_seconds: how long an ended call keeps its id.
        """
        database.create(SCHEMA)
        self._database = database
        self._node = node
        self._kept_seconds = kept_seconds

    async def claim(self, wacid: str, line: LineName) -> bool:
        """Insert a call of this node; return False if a node has it already."""
        row = (wacid, line, self._node, _now())

        def insert(connection: sqlite3.Connection) -> bool:
            connection.execute(
                "DELETE FROM whatsapp_calls WHERE ended_at < ? AND line = ?",
                (_now() - self._kept_seconds, line),
            )
            added = connection.execute(
                "INSERT OR IGNORE INTO whatsapp_calls (wacid, line, node, began_at) "
                "VALUES (?, ?, ?, ?)",
                row,
            )
            return added.rowcount == 1

        return await self._database.run(insert)

    def ended(self, wacid: str) -> None:
        """Set that the provider knows that a call has ended."""
        self._database.post(
            lambda connection: _run(
                connection,
                "UPDATE whatsapp_calls SET ended_at = ? WHERE wacid = ? AND ended_at IS NULL",
                (_now(), wacid),
            )
        )

    def release(self, wacid: str) -> None:
        """Delete a call, so that it can be claimed again."""
        self._database.post(
            lambda connection: _run(
                connection, "DELETE FROM whatsapp_calls WHERE wacid = ?", (wacid,)
            )
        )

    async def orphaned_calls(self, *, nodes: int) -> list[tuple[str, LineName]]:
        """Return the calls, by key and line, that this node's previous process left live.

        The first node is responsible for those of nodes that no longer exist.
        """
        first = self._first_gone(nodes)

        def find(connection: sqlite3.Connection) -> list[tuple[str, LineName]]:
            found = connection.execute(
                "SELECT wacid, line FROM whatsapp_calls "
                "WHERE ended_at IS NULL AND (node = ? OR node >= ?)",
                (self._node, first),
            )
            return [(wacid, LineName(line)) for wacid, line in found]

        return await self._database.run(find)

    async def begin_dial(self, opaque: str, line: LineName) -> int:
        """Insert a dial that is kept until `end_dial`, and return its row.

        Args:
            opaque: what identifies the call, should it turn up.
            line: whose call it is.
        """
        row = secrets.randbits(62)
        values = (row, opaque, line, self._node)
        insert = "INSERT INTO whatsapp_dials (id, opaque, line, node) VALUES (?, ?, ?, ?)"
        try:
            await self._database.run(lambda connection: _run(connection, insert, values))
        except asyncio.CancelledError:
            self.end_dial(row)
            raise
        return row

    def end_dial(self, row: int) -> None:
        """Delete a dial: its outcome is known, or remembered here."""
        self._database.post(
            lambda connection: _run(connection, "DELETE FROM whatsapp_dials WHERE id = ?", (row,))
        )

    async def is_dialled(self, opaque: str, line: LineName, *, but: Collection[int]) -> bool:
        """Return whether any node is dialling such a call, other than in these rows."""

        def find(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "SELECT id FROM whatsapp_dials WHERE opaque = ? AND line = ?", (opaque, line)
            )
            return any(row not in but for (row,) in found)

        return await self._database.run(find)

    async def orphaned_dials(
        self, *, nodes: int, lines: Collection[LineName]
    ) -> list[tuple[str, LineName]]:
        """Remove and return the dials of these lines that the previous process left, by opaque and line."""
        values = (self._node, self._first_gone(nodes))

        def take(connection: sqlite3.Connection) -> list[tuple[str, LineName]]:
            found = connection.execute(
                "SELECT id, opaque, line FROM whatsapp_dials WHERE node = ? OR node >= ?", values
            )
            orphaned = [row for row in found.fetchall() if row[2] in lines]
            connection.executemany(
                "DELETE FROM whatsapp_dials WHERE id = ?", [(row,) for row, _, _ in orphaned]
            )
            return [(opaque, LineName(line)) for _, opaque, line in orphaned]

        return await self._database.run(take)

    def remember(self, line: LineName, reply: PermissionReplied) -> None:
        """Store somebody's reply, unless a later one is known."""
        row = (line, reply.person, reply.granted, reply.permanent, reply.at, reply.expires_at)
        self._database.post(
            lambda connection: _run(
                connection,
                "INSERT INTO whatsapp_permissions VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET granted = excluded.granted, "
                "permanent = excluded.permanent, at = excluded.at, "
                "expires_at = excluded.expires_at WHERE excluded.at >= at",
                row,
            )
        )

    async def reply(self, line: LineName, person: str) -> Reply | None:
        """Return somebody's last reply; None if there is none."""

        def find(connection: sqlite3.Connection) -> Reply | None:
            row = connection.execute(
                "SELECT granted, permanent, at, expires_at FROM whatsapp_permissions "
                "WHERE line = ? AND person = ?",
                (line, person),
            ).fetchone()
            return Reply(bool(row[0]), bool(row[1]), row[2], row[3]) if row else None

        return await self._database.run(find)

    def _first_gone(self, nodes: int) -> int:
        """Return the first index of the removed nodes that this node is responsible for."""
        return nodes if self._node == 0 else 1 << 30


def _run(
    connection: sqlite3.Connection, statement: str, values: tuple[str | float | None, ...]
) -> None:
    connection.execute(statement, values)


def _now() -> float:
    """Return wall time, which all processes share."""
    return datetime.now(UTC).timestamp()
