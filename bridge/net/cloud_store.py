"""What is remembered of WhatsApp calls beyond the process: which are live, and who permits them."""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bridge.call.model import LineName
from bridge.net.database import Database
from bridge.wire.cloud import PermissionReplied

KEPT_SECONDS: Final = 86400.0
"""A webhook that comes again so long after the call's end is still known to be an old one."""

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
    """What somebody last answered to the question whether we may call."""

    granted: bool
    permanent: bool
    at: float
    expires_at: float | None


class CloudStore:
    """One node's view of the tables, which the providers of all lines share.

    A call's id is unique among all lines: whose own ids are not puts the line's name before them.
    """

    def __init__(
        self, database: Database, *, node: int, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        """Make the view, and the tables where they are missing; waits for the disk.

        Args:
            database: the bridge's.
            node: this node's index.
            kept_seconds: how long an ended call's id stands for that call.
        """
        database.create(SCHEMA)
        self._database = database
        self._node = node
        self._kept_seconds = kept_seconds

    async def claim(self, wacid: str, line: LineName) -> bool:
        """Write down that this node has a call; False when one of the nodes had it before."""
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
        """Write down that the provider knows of a call's end."""
        self._database.post(
            lambda connection: _run(
                connection,
                "UPDATE whatsapp_calls SET ended_at = ? WHERE wacid = ? AND ended_at IS NULL",
                (_now(), wacid),
            )
        )

    def release(self, wacid: str) -> None:
        """Let go of a call, so that it can be claimed again."""
        self._database.post(
            lambda connection: _run(
                connection, "DELETE FROM whatsapp_calls WHERE wacid = ?", (wacid,)
            )
        )

    async def orphaned_calls(self, *, nodes: int) -> list[tuple[str, LineName]]:
        """Give the calls that this node's forerunner left live, by id and line.

        The first node answers for those of nodes that do not exist any more.
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
        """Write down that a provider is asked to ring somebody, until `end_dial`; gives the row's id.

        Args:
            opaque: by which the call can be known, should it turn up.
            line: whose call it is.
        """

        def insert(connection: sqlite3.Connection) -> int:
            added = connection.execute(
                "INSERT INTO whatsapp_dials (opaque, line, node) VALUES (?, ?, ?)",
                (opaque, line, self._node),
            )
            return added.lastrowid or 0

        return await self._database.run(insert)

    def end_dial(self, row: int) -> None:
        """Write down that the provider has answered, or that this node knows that it did not."""
        self._database.post(
            lambda connection: _run(connection, "DELETE FROM whatsapp_dials WHERE id = ?", (row,))
        )

    async def is_dialled(self, opaque: str, line: LineName, *, but: Collection[int]) -> bool:
        """Whether any node is about to ring such a call, in other rows than these."""

        def find(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                "SELECT id FROM whatsapp_dials WHERE opaque = ? AND line = ?", (opaque, line)
            )
            return any(row not in but for (row,) in found)

        return await self._database.run(find)

    async def orphaned_dials(
        self, *, nodes: int, lines: Collection[LineName]
    ) -> list[tuple[str, LineName]]:
        """Give, once, what these lines' calls can be known by that the forerunner was dialling."""
        values = (self._node, self._first_gone(nodes))

        def take(connection: sqlite3.Connection) -> list[tuple[str, LineName]]:
            found = connection.execute(
                "SELECT id, opaque, line FROM whatsapp_dials WHERE node = ? OR node >= ?", values
            )
            left = [row for row in found.fetchall() if row[2] in lines]
            connection.executemany(
                "DELETE FROM whatsapp_dials WHERE id = ?", [(row,) for row, _, _ in left]
            )
            return [(opaque, LineName(line)) for _, opaque, line in left]

        return await self._database.run(take)

    def remember(self, line: LineName, reply: PermissionReplied) -> None:
        """Keep what somebody answered, unless a later answer is known."""
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
        """Give what somebody last answered; None when nothing is known."""

        def find(connection: sqlite3.Connection) -> Reply | None:
            row = connection.execute(
                "SELECT granted, permanent, at, expires_at FROM whatsapp_permissions "
                "WHERE line = ? AND person = ?",
                (line, person),
            ).fetchone()
            return Reply(bool(row[0]), bool(row[1]), row[2], row[3]) if row else None

        return await self._database.run(find)

    def _first_gone(self, nodes: int) -> int:
        """The first index of the nodes that are no more and that this one answers for."""
        return nodes if self._node == 0 else 1 << 30


def _run(
    connection: sqlite3.Connection, statement: str, values: tuple[str | float | None, ...]
) -> None:
    connection.execute(statement, values)


def _now() -> float:
    """Wall time: it goes on where the process starts anew, and all processes share it."""
    return datetime.now(UTC).timestamp()
