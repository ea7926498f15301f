"""The snapshots of live calls, from which another machine goes on with those of one that has died; every function runs in a transaction of `Database`.

They have no keys (`node.portable_call`). Who names itself in the rows of a call has it: one transaction declares a node
dead and names the one that goes on.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bridge.call.model import CallId
from bridge.db.database import Connection, marks
from bridge.stores.handover import Move, name_successor
from bridge.stores.nodes import Member

AGAIN_SECONDS: Final = 60.0
"""A call whose new machine dies within this time is not taken over once more: it may be the cause."""


class ProviderKeys(msgspec.Struct, frozen=True):
    """What a transaction needs of a snapshot."""

    provider_keys: tuple[str, ...]
    """Keys of the call's rows of the WhatsApp provider."""


@dataclass(frozen=True, slots=True)
class TakenCall:
    """A call of a dead process that another one is to go on with."""

    former: Member
    """Its number and boot id."""
    move: Move
    snapshot: bytes
    silent_since: float
    """When its process was last known to be alive, on the database's clock."""


def write(connection: Connection, boot: str, snapshots: Mapping[CallId, bytes | None]) -> None:
    """Replace the snapshots of calls that are still those of a process; None: nobody can go on with a call."""
    connection.executemany(
        "UPDATE open_calls SET snapshot = ? WHERE call_id = ? AND boot = ?",
        [(snapshot, call_id, boot) for call_id, snapshot in snapshots.items()],
    )


def take_over(
    connection: Connection, dead: Collection[str], own: Member, *, now: float, lease: float
) -> list[TakenCall]:
    """Make calls of dead processes those of node `own`, as far as they have snapshots; return them.

    `lease` is how long a heartbeat is valid.
    """
    if not dead:
        return []
    rows = connection.execute(
        "SELECT call_id, nodes.node, nodes.boot, lease_until, snapshot FROM open_calls "  # noqa: S608
        "JOIN nodes ON nodes.boot = open_calls.boot "
        f"WHERE snapshot IS NOT NULL AND coalesce(taken_at, 0) < ? AND nodes.boot IN {marks(dead)} "
        "ORDER BY call_id",
        (now - AGAIN_SECONDS, *dead),
    ).fetchall()
    taken = []
    for call_id, node, boot, lease_until, snapshot in rows:
        try:
            keys = msgspec.msgpack.decode(snapshot, type=ProviderKeys).provider_keys
        except msgspec.MsgspecError:
            continue  # of another version: the call ends
        move = Move(call_id, boot, own.node, own.boot, keys)
        name_successor(connection, move)
        since = min(now, (lease_until or now) - lease)
        taken.append(TakenCall(Member(node=node, boot=boot), move, snapshot, since))
    if taken:
        connection.executemany(
            "UPDATE open_calls SET taken_at = ? WHERE call_id = ?",
            [(now, one.move.call_id) for one in taken],
        )
    return taken
