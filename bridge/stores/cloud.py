"""The WhatsApp calls, dials and permissions that outlive the process."""

import asyncio
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bridge.call.model import LineName
from bridge.db.database import Connection, Database, wall_time
from bridge.errors import DatabaseLost
from bridge.stores import cloud_media
from bridge.stores.nodes import Member
from bridge.wire.cloud_people import PermissionReplied, UserIdChanged
from bridge.wire.cloud_recordings import MediaAvailable

KEPT_SECONDS: Final = cloud_media.KEPT_SECONDS
"""How long after a call's end a repeated webhook is recognized, and a recording of Meta's is known to be of it."""

MEDIA: Final = "whatsapp_media"
"""What files of Meta's are appended to the database as."""
_UNLESS_LATER: Final = (
    "SET granted = excluded.granted, permanent = excluded.permanent, at = excluded.at, "
    "expires_at = excluded.expires_at WHERE excluded.at >= whatsapp_permissions.at"
)


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
        self, database: Database, *, own: Member, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        """Open the view of the process `own`."""
        self._database = database
        database.handle(MEDIA, _insert_media)
        self._own = own
        self._kept_seconds = kept_seconds

    async def claim(self, wacid: str, line: LineName) -> bool:
        """Insert a call of this node; return False if a node has it already."""

        def insert(connection: Connection) -> bool:
            connection.execute(
                "DELETE FROM whatsapp_calls WHERE ended_at < ? AND line = ?",
                (wall_time() - self._kept_seconds, line),
            )
            added = connection.execute(
                "INSERT INTO whatsapp_calls (wacid, line, node, boot, began_at) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (wacid, line, self._own.node, self._own.boot, wall_time()),
            )
            return added.rowcount == 1

        return await self._database.run(insert)

    def ended(self, wacid: str) -> None:
        """Record that a call has ended for the provider too."""
        self._post(
            "UPDATE whatsapp_calls SET ended_at = ? WHERE wacid = ? AND ended_at IS NULL",
            wall_time(),
            wacid,
        )

    def name(self, wacid: str, call_id: str) -> None:
        """Store our id of a call."""
        self._post("UPDATE whatsapp_calls SET call_id = ? WHERE wacid = ?", call_id, wacid)

    def note_media(
        self, line: LineName, key: str, event: MediaAvailable, *, then: Callable[[], None]
    ) -> None:
        """Store that Meta has a file of a call; `then` is called once it is stored."""
        payload = msgspec.msgpack.encode((line, key, event, wall_time()))
        self._database.append(MEDIA, payload, then=then)

    def release(self, wacid: str) -> None:
        """Delete a call, so that it can be claimed again."""
        self._post("DELETE FROM whatsapp_calls WHERE wacid = ?", wacid)

    async def orphaned_calls(self, lines: Collection[LineName]) -> list[tuple[str, LineName]]:
        """Return, once, the calls of these lines that this node has taken over, by key and line.

        Each is kept until `ended`: if it cannot be, the node that takes over from this one gets it.
        """

        def take(connection: Connection) -> list[tuple[str, LineName]]:
            found = self._taken_over(connection, "whatsapp_calls", "wacid", lines)
            connection.executemany(
                "UPDATE whatsapp_calls SET orphaned = 0 WHERE wacid = ?",
                [(wacid,) for wacid, _, _ in found],
            )
            return [(wacid, LineName(line)) for wacid, _, line in found]

        return await self._database.run(take)

    async def begin_dial(self, opaque: str, line: LineName) -> int:
        """Insert a dial that is kept until `end_dial`, and return its row.

        `opaque` is what identifies the call, should it turn up.
        """
        row = secrets.randbits(62)
        try:
            await self._fetch(
                "INSERT INTO whatsapp_dials (id, opaque, line, node, boot) VALUES (?, ?, ?, ?, ?)",
                row,
                opaque,
                line,
                self._own.node,
                self._own.boot,
            )
        except (asyncio.CancelledError, DatabaseLost):  # it may be inserted all the same
            self.end_dial(row)
            raise
        return row

    def end_dial(self, row: int) -> None:
        """Delete a dial: its outcome is known, or remembered here."""
        self._post("DELETE FROM whatsapp_dials WHERE id = ?", row)

    async def is_dialled(self, opaque: str, line: LineName, *, but: Collection[int]) -> bool:
        """Return whether any node is dialling such a call, other than in these rows."""
        found = await self._fetch(
            "SELECT id FROM whatsapp_dials WHERE opaque = ? AND line = ?", opaque, line
        )
        return any(row not in but for (row,) in found)

    async def orphaned_dials(self, lines: Collection[LineName]) -> list[tuple[str, LineName]]:
        """Remove and return the dials of these lines that this node has taken over, by opaque and line."""

        def take(connection: Connection) -> list[tuple[str, LineName]]:
            found = self._taken_over(connection, "whatsapp_dials", "id", lines, "opaque")
            connection.executemany(
                "DELETE FROM whatsapp_dials WHERE id = ?", [(row,) for row, _, _ in found]
            )
            return [(opaque, LineName(line)) for _, opaque, line in found]

        return await self._database.run(take)

    def remember(self, line: LineName, reply: PermissionReplied) -> None:
        """Store somebody's reply, unless a later one is known."""
        self._post(
            "INSERT INTO whatsapp_permissions VALUES (?, ?, ?, ?, ?, ?) "  # noqa: S608
            f"ON CONFLICT (line, person) DO UPDATE {_UNLESS_LATER}",
            line,
            reply.person,
            int(reply.granted),
            int(reply.permanent),
            reply.at,
            reply.expires_at,
        )

    def move(self, line: LineName, changed: UserIdChanged) -> None:
        """Store a person's reply under their new id, unless that has a later one."""
        self._post(
            "INSERT INTO whatsapp_permissions "  # noqa: S608
            "SELECT line, ?, granted, permanent, at, expires_at FROM whatsapp_permissions "
            "WHERE line = ? AND person = ? "
            f"ON CONFLICT (line, person) DO UPDATE {_UNLESS_LATER}",
            changed.person,
            line,
            changed.former,
        )
        self._post(
            "DELETE FROM whatsapp_permissions WHERE line = ? AND person = ?", line, changed.former
        )

    async def reply(self, line: LineName, person: str) -> Reply | None:
        """Return somebody's last reply; None if there is none."""
        query = (
            "SELECT granted, permanent, at, expires_at FROM whatsapp_permissions "
            "WHERE line = ? AND person = ?"
        )
        found = await self._database.read(lambda db: db.execute(query, (line, person)).fetchall())
        for granted, permanent, at, expires_at in found:
            return Reply(bool(granted), bool(permanent), at, expires_at)
        return None

    def _taken_over(
        self,
        connection: Connection,
        table: str,
        key: str,
        lines: Collection[LineName],
        more: str = "line",
    ) -> list[Any]:
        found = connection.execute(
            f"SELECT {key}, {more}, line FROM {table} WHERE boot = ? AND orphaned = 1",  # noqa: S608
            (self._own.boot,),
        )
        return [row for row in found.fetchall() if row[2] in lines]

    def _post(self, statement: str, *values: str | float | None) -> None:
        self._database.append_statement(statement, values)

    async def _fetch(self, statement: str, *values: str | float | None) -> list[Any]:
        """Run a statement, and return its rows."""
        return await self._database.run(lambda db: db.execute(statement, values).fetchall())


def _insert_media(connection: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        line, key, event, now = msgspec.msgpack.decode(
            payload, type=tuple[LineName, str, MediaAvailable, float]
        )
        cloud_media.insert(connection, line, key, event, now=now)
