"""What a process that has ended left behind; every function runs in a transaction of `Database`.

It is found by the absence of its process among the living ones (`stores.nodes`), whoever ended it: so one
function takes over what a killed node, a node without a lease and a previous start of the bridge have left,
and what a late write adds is found the next time.
"""

from typing import Final

import msgspec

from bridge.call.model import EndReason
from bridge.db.database import Connection, wall_time
from bridge.stores.nodes import Member
from bridge.wire.call_event import CallEvent

_LEFT: Final = "boot NOT IN (SELECT boot FROM nodes WHERE ended_at IS NULL)"


def not_live(table: str) -> str:
    """Return the condition that the call of a row is not that of a process that is registered, nor ended there.

    A process that has just joined may be missing among the nodes that another one knows, and one that has had a
    call of another one's number may still be writing what belongs to it.
    """
    return " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {calls} JOIN nodes ON nodes.boot = {calls}.boot "  # noqa: S608
        f"WHERE {calls}.call_id = {table}.call_id AND nodes.ended_at IS NULL)"
        for calls in ("open_calls", "calls")
    )


def open_calls(connection: Connection) -> list[tuple[CallEvent, str]]:
    """Return the last event of each call that was left without an end, and the boot id of its process."""
    rows = connection.execute(
        f"SELECT body, boot FROM open_calls WHERE {_LEFT} ORDER BY call_id"  # noqa: S608
    )
    return [(msgspec.json.decode(body, type=CallEvent), boot) for body, boot in rows.fetchall()]


def open_call(connection: Connection, call_id: str) -> tuple[CallEvent, str] | None:
    """Return the last event of a call, and the boot id of its process; None if it has its end, or is unknown."""
    asked = "SELECT body, boot FROM open_calls WHERE call_id = ?"
    row = connection.execute(asked, (call_id,)).fetchone()
    return None if row is None else (msgspec.json.decode(row[0], type=CallEvent), row[1])


def close(connection: Connection, call_id: str) -> None:
    """Note that a call has its end."""
    connection.execute("DELETE FROM open_calls WHERE call_id = ?", (call_id,))


def uncount(connection: Connection, *, now: float) -> None:
    """End the calls that still count against the limits."""
    connection.execute(
        f"UPDATE calls SET ended_at = ?, reason = ? WHERE ended_at IS NULL AND {_LEFT}",  # noqa: S608
        (now, EndReason.NODE_LOST.value),
    )


def assign(connection: Connection, own: Member) -> bool:
    """Assign to node `own` the deliveries, and the calls and dials that a provider has to end.

    Returns whether there were such calls or dials.
    """
    # What the lost node would have tried later is tried now: its clock may have been ahead.
    now = wall_time()
    connection.execute(
        "UPDATE deliveries SET node = ?, due = CASE WHEN due > ? THEN ? ELSE due END "
        "WHERE dead_at IS NULL AND node NOT IN (SELECT node FROM nodes WHERE ended_at IS NULL)",
        (own.node, now, now),
    )
    calls = connection.execute(
        "UPDATE whatsapp_calls SET node = ?, boot = ?, orphaned = 1 "  # noqa: S608
        f"WHERE ended_at IS NULL AND {_LEFT}",
        (own.node, own.boot),
    )
    dials = connection.execute(
        f"UPDATE whatsapp_dials SET node = ?, boot = ?, orphaned = 1 WHERE {_LEFT}",  # noqa: S608
        (own.node, own.boot),
    )
    return calls.rowcount > 0 or dials.rowcount > 0
