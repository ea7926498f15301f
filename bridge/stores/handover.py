"""The rows of a live call that another process goes on with; every function runs in a transaction of `Database`."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bridge.db.database import Connection
from bridge.stores import nodes

MOVED: Final = "call_moved"
"""What a `Move` is appended to the database as: without it the call would be taken for lost with its former process."""


class Move(msgspec.Struct, frozen=True, array_like=True):
    """A call, and the processes that had it and have it."""

    call_id: str
    former: str
    """The boot id of the process that had it."""
    node: int
    boot: str
    provider_keys: Sequence[str] = ()
    """Keys of its calls at the WhatsApp provider."""


def move(connection: Connection, moved: Move) -> bool:
    """Name the process that goes on with a call wherever the one that had it is named.

    Returns False, and changes nothing, where the former process was found to have ended: then others have ended its
    calls, this one too. Doing it again changes nothing.
    """
    known = connection.execute(
        "SELECT 1 FROM calls WHERE call_id = ? AND boot = ?", (moved.call_id, moved.boot)
    ).fetchone()
    if known is None and nodes.ended_at(connection, moved.former) is not None:
        return False
    name_successor(connection, moved)
    return True


def name_successor(connection: Connection, moved: Move) -> None:
    """Name the process that goes on with a call, whatever has become of the former one."""
    own = (moved.node, moved.boot)
    for table in ("calls", "open_calls"):
        connection.execute(
            f"UPDATE {table} SET node = ?, boot = ? WHERE call_id = ? AND boot = ?",  # noqa: S608
            (*own, moved.call_id, moved.former),
        )
    for key in moved.provider_keys:
        connection.execute(
            "UPDATE whatsapp_calls SET node = ?, boot = ? WHERE wacid = ? AND boot = ?",
            (*own, key, moved.former),
        )


def inherit(connection: Connection, moves: Sequence[Move]) -> set[str]:
    """Move calls from processes that have died; return those that others have ended meanwhile.

    Of each call, the first move from a process that has registered decides; one that died before never had a call.
    """
    done: dict[str, bool] = {}
    for one in moves:
        moved = move(connection, one)
        if nodes.is_registered(connection, one.former):
            done.setdefault(one.call_id, moved)
    return {call_id for call_id, moved in done.items() if not moved}


def owner(connection: Connection, call_id: str) -> int | None:
    """Return the node that has a call, or had it when it ended; None for one that is unknown."""
    row = connection.execute("SELECT node FROM calls WHERE call_id = ?", (call_id,)).fetchone()
    return row[0] if row else None
