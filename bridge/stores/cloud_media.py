"""The table of Meta's recordings and transcripts that are to be downloaded, or deleted at Meta.

Any node may do the work: a row that one takes is due again, for another, only when the lease has run out. Rows
of what is done are kept as long as Meta may send the webhook again.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Final

from bridge.call.model import CallId, LineName
from bridge.db.database import Connection, marks
from bridge.wire.cloud_recordings import MediaAvailable

LEASE_SECONDS: Final = 300.0
"""How long one attempt may take."""
KEPT_SECONDS: Final = 8 * 86400.0
"""Meta has a file for seven days."""
WAITING: Final = "waiting"
DELETING: Final = "deleting"
DONE: Final = "done"


@dataclass(frozen=True, slots=True)
class MediaJob:
    """A file of Meta's, and what is to be done with it."""

    call_key: str
    """As in the table of calls."""
    kind: str
    """Of `wire.cloud_recordings.MediaKind`; a call has one file of each."""
    line: LineName
    media_id: str
    sha256: str
    url: str
    told_at: float
    """When the webhook came."""
    status: str
    """`WAITING` for its download, `DELETING` at Meta, or `DONE`."""
    due_at: float
    attempts: int = 0
    """Those before."""


_COLUMNS: Final = ", ".join(field.name for field in fields(MediaJob))


def insert(db: Connection, line: LineName, key: str, event: MediaAvailable, *, now: float) -> None:
    """Insert what a webhook tells of, unless it is known."""
    db.execute(
        "DELETE FROM whatsapp_media WHERE line = ? AND told_at < ?", (line, now - KEPT_SECONDS)
    )
    file = (event.media_id, event.sha256, event.url)
    row = (key, event.kind.value, line, *file, now, WAITING, now, 0)
    db.execute(
        f"INSERT INTO whatsapp_media ({_COLUMNS}) VALUES {marks(row)} ON CONFLICT DO NOTHING",  # noqa: S608
        row,
    )


def take(db: Connection, lines: Collection[LineName], *, now: float) -> MediaJob | None:
    """Return what is due, for this caller alone; None if nothing is."""
    row = db.execute(
        f"SELECT {_COLUMNS} FROM whatsapp_media WHERE status <> 'done' AND due_at <= ? "  # noqa: S608
        f"AND line IN {marks(lines)} ORDER BY due_at LIMIT 1",
        (now, *lines),
    ).fetchone()
    if row is None:
        return None
    job = MediaJob(*row)
    taken = db.execute(
        "UPDATE whatsapp_media SET due_at = ?, attempts = attempts + 1 "
        "WHERE call_key = ? AND kind = ? AND due_at = ? AND status = ?",
        (now + LEASE_SECONDS, job.call_key, job.kind, job.due_at, job.status),
    )
    return job if taken.rowcount else None


def postpone(db: Connection, job: MediaJob, *, due_at: float) -> None:
    """Try again later, unless something else is to be done now."""
    db.execute(POSTPONE, (due_at, job.call_key, job.kind, job.status))


POSTPONE: Final = (
    "UPDATE whatsapp_media SET due_at = ? WHERE call_key = ? AND kind = ? AND status = ?"
)


def move(db: Connection, job: MediaJob, status: str, *, now: float) -> bool:
    """Note what is to be done next; return False if the call was erased meanwhile, or another node has done it."""
    moved = db.execute(
        "UPDATE whatsapp_media SET status = ?, due_at = ?, attempts = 0, url = '' "
        "WHERE call_key = ? AND kind = ? AND status = ?",
        (status, now, job.call_key, job.kind, job.status),
    )
    return bool(moved.rowcount)


def call_of(db: Connection, call_key: str) -> CallId | None:
    """Return our id of a call; None if it is not known, or no more."""
    row = db.execute("SELECT call_id FROM whatsapp_calls WHERE wacid = ?", (call_key,)).fetchone()
    return CallId(row[0]) if row and row[0] else None


def erase(db: Connection, line: LineName, call_id: str, *, delete: bool, now: float) -> None:
    """Download nothing any more of a call; have it deleted at Meta, if `delete` says so."""
    db.execute(
        "UPDATE whatsapp_media SET status = ?, due_at = ?, attempts = 0, url = '' "
        "WHERE line = ? AND status = 'waiting' AND call_key IN "
        "(SELECT wacid FROM whatsapp_calls WHERE line = ? AND call_id = ?)",
        (DELETING if delete else DONE, now, line, line, call_id),
    )
