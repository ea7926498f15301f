"""The tables of recordings; every function runs in a transaction of `Database`.

A row is inserted when a recording begins, and updated when it ends: by the process that records, or, if that
is no more, by another one of its machine, or by one of another machine that has its parts.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Struct

from bridge.audio.file.formats import WAV
from bridge.call.model import CallId, LineName
from bridge.call.recording import Recording, parts_of
from bridge.db.database import Connection, Values, marks
from bridge.stores import recording_files as files
from bridge.stores.lost_nodes import not_live

_REQUESTED: Final = (
    "COALESCE((SELECT format FROM recording_formats "
    "WHERE recording_formats.recording_id = recordings.recording_id), 'wav')"
)
"""The format of a recording, which is in a table of its own."""
_FIELDS: Final = tuple(field.name for field in fields(Recording))
_COLUMNS: Final = tuple(name for name in _FIELDS if name != "format")
_SELECTED: Final = ", ".join(_REQUESTED if name == "format" else name for name in _FIELDS)


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

    @property
    def columns(self) -> dict[str, Any]:
        """What changes in the row of the recording."""
        return {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if name not in ("recording_id", "of_machine")
        }

    def of(self, recording: Recording) -> Recording:
        """Return a recording as it is after this end."""
        return replace(recording, **self.columns)


def select(db: Connection, where: str, values: Values = ()) -> list[Recording]:
    """Return the recordings that meet a condition, oldest first."""
    query = f"SELECT {_SELECTED} FROM recordings WHERE {where} ORDER BY started_at, kind"  # noqa: S608
    return [Recording(*row) for row in db.execute(query, values).fetchall()]


def find(db: Connection, recording_id: str) -> Recording | None:
    """Return a recording; None if there is none with this id."""
    found = select(db, "recording_id = ?", (recording_id,))
    return found[0] if found else None


def of_call(db: Connection, line: LineName, call_id: CallId) -> list[Recording]:
    """Return a call's recordings."""
    return select(db, "line = ? AND call_id = ?", (line, call_id))


def being_recorded(db: Connection, line: LineName, call_ids: Collection[CallId]) -> list[Recording]:
    """Return the recordings of these calls that go on, on any node."""
    where = f"line = ? AND status = 'recording' AND call_id IN {marks(call_ids)}"
    return select(db, where, (line, *call_ids))


def recorded_elsewhere(db: Connection, machines: Collection[str]) -> list[Recording]:
    """Return the recordings with parts that go on, at none of these machines."""
    where = f"status = 'recording' AND live = 1 AND machine NOT IN {marks(machines)}"
    return select(db, where, tuple(machines))


def interrupted(db: Connection, opened: str, share: Mapping[str, str]) -> list[Recording]:
    """Return the recordings of a share (`stores.share.Share.of_machine`) that no process goes on with.

    Those of the process's own calls only if they began before it `opened` the table.
    """
    where = (
        "status = 'recording' AND machine = :machine AND "
        "instr(:others, substr(call_id, 1, 2)) = 0 AND "
        f"(started_at <= :opened OR substr(call_id, 1, 2) <> :own) AND {not_live('recordings')}"
    )
    return select(db, where, {"opened": opened, **share})


def expired(db: Connection, now: str, machines: Collection[str]) -> list[Recording]:
    """Return the recordings that have expired, but for those that go on at one of these machines."""
    where = f"expires_at < ? AND (status != 'recording' OR machine NOT IN {marks(machines)})"
    return select(db, where, (now, *machines))


def line_of(db: Connection, key: str) -> LineName | None:
    """Return the line of the recording with a key; None if there is none."""
    row = db.execute("SELECT line FROM recordings WHERE key = ?", (key,)).fetchone()
    return LineName(row[0]) if row else None


def insert(db: Connection, begin: Begin) -> None:
    """Insert the recordings of a call that begin; those that are there stay as they are."""
    statement = (
        f"INSERT INTO recordings ({', '.join(_COLUMNS)}) VALUES {marks(_COLUMNS)} "  # noqa: S608
        "ON CONFLICT DO NOTHING"
    )
    db.executemany(statement, [attrgetter(*_COLUMNS)(one) for one in begin.recordings])
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
    before = find(db, ended.recording_id)
    if before is None:
        return None
    running = before.status == "recording"
    if ended.of_machine is not None:
        if not running or before.machine != ended.of_machine:
            return None
    elif not running and before.machine == ended.machine:
        return None
    columns = ended.columns
    changes = ", ".join(f"{name} = ?" for name in columns)
    db.execute(
        f"UPDATE recordings SET {changes} WHERE recording_id = ?",  # noqa: S608
        (*columns.values(), ended.recording_id),
    )
    if before.machine != ended.machine:
        files.queue_unlinks(db, [(before.machine, before.key)])
    files.unlinked(db, ended.machine, [before.key])
    return before, ended.of(before)


def set_gaps(db: Connection, recording_id: str, gaps_json: str) -> None:
    """Set the gaps of a recording."""
    row = (gaps_json, recording_id)
    db.execute("UPDATE recordings SET gaps_json = ? WHERE recording_id = ?", row)


def delete(
    db: Connection, recording: Recording, machine: str, *, stored: bool
) -> set[tuple[str, str]]:
    """Delete a recording's rows; return the machine and key of each of its files.

    Files of other machines than `machine` are queued for deletion, and if `stored`, the objects in the store.
    """
    row = (recording.recording_id,)
    db.execute("DELETE FROM recordings WHERE recording_id = ?", row)
    db.execute("DELETE FROM recording_formats WHERE recording_id = ?", row)
    db.execute(
        "DELETE FROM recorded_calls WHERE call_id = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM recordings WHERE call_id = ?1)",
        (recording.call_id,),
    )
    if recording.live:
        files.queue_deletions(db, [parts_of(recording.recording_id)])
    places = set(files.remove(db, recording.recording_id, stored=stored))
    places |= {(recording.machine, key) for key in (recording.key, *recording.mixed_from)}
    files.queue_unlinks(db, [place for place in places if place[0] not in ("", machine)])
    return places


def used_keys(db: Connection, call_id: CallId) -> set[str]:
    """Return the keys of a call's recordings and of its objects waiting for deletion."""
    rows = db.execute("SELECT key FROM recordings WHERE call_id = ?", (call_id,))
    return {key for (key,) in rows} | files.keys_to_delete(db, call_id)


def adopt(db: Connection, machine: str, *, every: bool) -> None:
    """Name a machine in the rows that name none; in all if `every`, since there is no other."""
    where = "machine <> ?1" if every else "machine = ''"
    for table in ("recordings", "recording_files", "assets"):
        db.execute(f"UPDATE {table} SET machine = ?1 WHERE {where}", (machine,))  # noqa: S608
