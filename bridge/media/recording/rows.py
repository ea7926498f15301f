"""Database rows of recordings; every function runs in a transaction of `Database`.

A row is inserted when a recording begins, and updated when it ends: by the process that records, or, if that
is no more, by another one of its machine, or by one of another machine that has its parts.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Final

from msgspec import Struct

from bridge.call.model import CallId, LineName
from bridge.db.database import Connection, Values, marks
from bridge.media.recording import files
from bridge.media.recording.files import OGG, PREFIX, WAV

_STORED: Final = (
    "recording_id, call_id, line, kind, key, status, started_at, ended_at, seconds, size_bytes, "
    "expires_at, machine, live"
)
_FORMAT: Final = (
    "COALESCE((SELECT format FROM recording_formats "
    "WHERE recording_formats.recording_id = recordings.recording_id), 'wav')"
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded track of a call, or the mix."""

    recording_id: str
    call_id: CallId
    line: LineName
    kind: str
    """`inbound`, `outbound` or `mixed`."""
    key: str
    """Path below the storage folder."""
    status: str
    """`recording`, `completed` or `failed`."""
    started_at: str
    ended_at: str | None
    seconds: float
    size_bytes: int
    expires_at: str
    machine: str = ""
    """Where it is recorded; that which has assembled it from its parts."""
    live: int = 0
    """1 if its parts are uploaded while it is recorded."""
    format: str = WAV
    """The requested format, of `CONTENT_TYPES`; a WAV can be had too."""

    @property
    def is_ours(self) -> bool:
        """Whether the bridge chose its path; only such recordings are copied."""
        return self.key.startswith(PREFIX)

    @property
    def file_format(self) -> str:
        """The format it is recorded in: `WAV`, or `OGG` where relayed packets are recorded."""
        return OGG if self.is_ours and self.key.endswith(f".{OGG}") else WAV

    @property
    def mixed_from(self) -> tuple[str, ...]:
        """The keys of both sides, of which a mix of packets is made after the call."""
        if self.kind != "mixed" or self.file_format != OGG:
            return ()
        return tuple(self.key_as(f"{side}.{OGG}") for side in ("inbound", "outbound"))

    def key_as(self, form: str) -> str:
        """Return the key of a copy in another format."""
        return f"{self.key.rpartition('.')[0]}.{form}"


class Begin(Struct):
    """Recordings that begin; kept on the local disk while the database is unreachable."""

    recordings: list[Recording]
    from_party: str
    to_party: str


class End(Struct):
    """How a recording has ended; kept on the local disk while the database is unreachable."""

    recording_id: str
    status: str
    ended_at: str
    seconds: float
    size_bytes: int
    machine: str
    """That has the file."""
    of_machine: str | None = None
    """Only if it is still being recorded there; None for the process that records."""


def select(db: Connection, where: str, values: Values = ()) -> list[Recording]:
    """Return the recordings that meet a condition, oldest first."""
    query = f"SELECT {_STORED}, {_FORMAT} FROM recordings WHERE {where} ORDER BY started_at, kind"  # noqa: S608
    return [Recording(*row) for row in db.execute(query, values).fetchall()]


def insert(db: Connection, begin: Begin) -> None:
    """Insert the recordings of a call that begin; those that are there stay as they are."""
    rows = [astuple(recording)[:-1] for recording in begin.recordings]
    statement = f"INSERT INTO recordings ({_STORED}) VALUES {marks(rows[0])} ON CONFLICT DO NOTHING"  # noqa: S608
    db.executemany(statement, rows)
    request_formats(
        db, [(row.recording_id, row.format) for row in begin.recordings if row.format != WAV]
    )
    call_id = begin.recordings[0].call_id
    db.execute("DELETE FROM recorded_calls WHERE call_id = ?", (call_id,))
    parties = (call_id, begin.from_party, begin.to_party)
    db.execute("INSERT INTO recorded_calls VALUES (?, ?, ?)", parties)


def request_formats(db: Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Request the formats of recordings."""
    db.executemany(
        "INSERT INTO recording_formats VALUES (?, ?) "
        "ON CONFLICT (recording_id) DO UPDATE SET format = excluded.format",
        rows,
    )


def end(db: Connection, ended: End) -> tuple[Recording, Recording] | None:
    """Record the end of a recording; return it as it was and as it is now.

    None if nothing has changed: it has been deleted, or has ended before. What another machine has
    assembled meanwhile is replaced by the process that recorded it, which has all of it.
    """
    found = select(db, "recording_id = ?", (ended.recording_id,))
    if not found:
        return None
    before = found[0]
    running = before.status == "recording"
    if ended.of_machine is not None:
        if not running or before.machine != ended.of_machine:
            return None
    elif not running and before.machine == ended.machine:
        return None
    db.execute(
        "UPDATE recordings SET status = ?, ended_at = ?, seconds = ?, size_bytes = ?, machine = ? "
        "WHERE recording_id = ?",
        (
            ended.status,
            ended.ended_at,
            ended.seconds,
            ended.size_bytes,
            ended.machine,
            ended.recording_id,
        ),
    )
    if before.machine != ended.machine:
        files.queue_unlinks(db, [(before.machine, before.key)])
    db.execute(
        "DELETE FROM file_deletions WHERE machine = ? AND key = ?", (ended.machine, before.key)
    )
    return before, select(db, "recording_id = ?", (ended.recording_id,))[0]


def used_keys(db: Connection, call_id: CallId) -> set[str]:
    """Return the keys of a call's recordings and of its objects waiting for deletion."""
    rows = db.execute("SELECT key FROM recordings WHERE call_id = ?", (call_id,))
    return {key for (key,) in rows} | files.keys_to_delete(db, call_id)


def adopt(db: Connection, machine: str, *, every: bool) -> None:
    """Name a machine in the rows that name none; in all if `every`, since there is no other."""
    where = "machine <> ?1" if every else "machine = ''"
    for table in ("recordings", "recording_files", "assets"):
        db.execute(f"UPDATE {table} SET machine = ?1 WHERE {where}", (machine,))  # noqa: S608
