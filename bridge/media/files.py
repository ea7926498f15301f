"""Database rows of the files of recordings: where each is, and what remains to be done.

Every file starts on the local disk. With object storage it is uploaded: the row says `local` until
the object is complete, and only then is the file deleted, so that a process killed at any moment
loses nothing and at most repeats an upload.
"""

import sqlite3
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final

from bridge.net.database import Database

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS recording_files (
    recording_id TEXT NOT NULL,
    format TEXT NOT NULL,
    key TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    place TEXT NOT NULL,
    since TEXT NOT NULL,
    node TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (recording_id, format)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recording_files_by_place ON recording_files (place);
CREATE TABLE IF NOT EXISTS recording_deletions (
    key TEXT PRIMARY KEY,
    attempts INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
WAV: Final = "wav"
OGG: Final = "ogg"
MP4: Final = "mp4"
WEBM: Final = "webm"
CONTENT_TYPES: Final = {
    WAV: "audio/wav",
    OGG: "audio/ogg",
    MP4: "audio/mp4",
    WEBM: "audio/webm",
}
"""Content types by format of a recording."""
_COLUMNS: Final = "recording_id, format, key, size_bytes, place, since, node"


class FileLocation(StrEnum):
    """Where a file is."""

    WANTED = "wanted"
    """A copy that has not been made yet."""
    LOCAL = "local"
    """Below the storage folder; with object storage, waiting for upload."""
    KEPT = "kept"
    """At a path that a caller chose, where it stays."""
    STORE = "store"
    """In object storage."""
    LOST = "lost"
    """It could not be made, or has disappeared."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a recording."""

    recording_id: str
    format: str
    """Of `CONTENT_TYPES`."""
    key: str
    """Path below the storage folder, and object key."""
    size_bytes: int
    place: str
    """Of `FileLocation`."""
    since: str
    """When the recording ended."""
    node: str
    """The first two digits of the call's id."""


@dataclass(frozen=True, slots=True)
class UploadBacklog:
    """What waits for upload or deletion."""

    files: int
    size_bytes: int
    oldest: str | None
    """Time from which the oldest file waits."""
    deletions: int


class Files:
    """The files of all recordings."""

    def __init__(self, database: Database, *, node: int, nodes: int) -> None:
        """Create the tables if needed.

        A node works on the files of its own calls, the first one also on those of nodes that no
        longer exist.
        """
        self._database = database
        self._own = {"own": f"{node:02X}", "beyond": f"{nodes:02X}" if node == 0 else "~"}
        database.create(SCHEMA)

    async def of(self, recording_id: str) -> list[File]:
        """Return the available files of a recording."""
        where = "recording_id = :recording AND place IN ('local', 'kept', 'store') ORDER BY format"
        return await self._select(where, recording=recording_id)

    async def wanted(self, recording_id: str) -> set[str]:
        """Return the formats of copies that remain to be made."""
        where = "recording_id = :recording AND place = 'wanted'"
        return {file.format for file in await self._select(where, recording=recording_id)}

    async def is_local(self, file: File) -> bool:
        """Return whether a file is still only local."""
        where = "recording_id = :recording AND format = :format AND place = 'local'"
        return bool(await self._select(where, recording=file.recording_id, format=file.format))

    async def next(self, place: FileLocation) -> File | None:
        """Return this node's next file: fewest attempts first, then oldest.

        Files of which a copy remains to be made are excluded.
        """
        where = (
            "place = :place AND (node = :own OR node >= :beyond) AND (:place = 'wanted' OR NOT "
            "EXISTS (SELECT 1 FROM recording_files AS other WHERE other.place = 'wanted' AND "
            "other.recording_id = recording_files.recording_id)) ORDER BY attempts, since LIMIT 1"
        )
        found = await self._select(where, place=place, **self._own)
        return found[0] if found else None

    async def move(self, file: File, place: FileLocation, size_bytes: int) -> bool:
        """Update a file's location; return False if the recording has been deleted meanwhile.

        In that case an uploaded object is queued for deletion.
        """

        def moved(db: sqlite3.Connection) -> bool:
            row = (place, size_bytes, file.recording_id, file.format)
            changed = db.execute(
                "UPDATE recording_files SET place = ?, size_bytes = ?, attempts = 0 "
                "WHERE recording_id = ? AND format = ?",
                row,
            )
            if not changed.rowcount and place is FileLocation.STORE:
                queue_deletions(db, [file.key])
            return bool(changed.rowcount)

        return await self._database.run(moved)

    async def failed(self, file: File) -> None:
        """Count a failed attempt, so that other files are tried first."""
        row = (file.recording_id, file.format)
        query = "UPDATE recording_files SET attempts = attempts + 1 WHERE recording_id = ? AND format = ?"
        await self._database.run(lambda db: db.execute(query, row).rowcount)

    async def next_deletion(self) -> str | None:
        """Return the key of an object to delete."""
        query = "SELECT key FROM recording_deletions ORDER BY attempts LIMIT 1"
        row = await self._database.run(lambda db: db.execute(query).fetchone())
        return row[0] if row else None

    async def deleted(self, key: str, *, done: bool) -> None:
        """Record that an object was deleted, or that the attempt failed."""
        delete = "DELETE FROM recording_deletions WHERE key = ?"
        retry = "UPDATE recording_deletions SET attempts = attempts + 1 WHERE key = ?"
        statement = delete if done else retry
        await self._database.run(lambda db: db.execute(statement, (key,)).rowcount)

    async def backlog(self) -> UploadBacklog:
        """Count what waits for upload or deletion."""
        query = (
            "SELECT COUNT(*), COALESCE(SUM(size_bytes), 0), MIN(since), "
            "(SELECT COUNT(*) FROM recording_deletions) FROM recording_files "
            "WHERE place = 'local' AND (node = :own OR node >= :beyond)"
        )
        row = await self._database.run(lambda db: db.execute(query, self._own).fetchone())
        return UploadBacklog(*row)

    async def _select(self, where: str, **values: str) -> list[File]:
        query = f"SELECT {_COLUMNS} FROM recording_files WHERE {where}"  # noqa: S608
        rows = await self._database.run(lambda db: db.execute(query, values).fetchall())
        return [File(*row) for row in rows]


def add(db: sqlite3.Connection, files: list[File]) -> None:
    """Insert files, in the caller's transaction."""
    db.executemany(
        f"INSERT OR REPLACE INTO recording_files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [astuple(file) for file in files],
    )


def remove(db: sqlite3.Connection, recording_id: str, *, stored: bool) -> list[str]:
    """Delete a recording's rows in the caller's transaction and return their keys.

    If `stored`, their objects are queued for deletion.
    """
    query = "SELECT key, place FROM recording_files WHERE recording_id = ?"
    rows = db.execute(query, (recording_id,)).fetchall()
    db.execute("DELETE FROM recording_files WHERE recording_id = ?", (recording_id,))
    if stored:
        # A local file may be in the middle of its upload.
        queue_deletions(
            db, [key for key, place in rows if place in (FileLocation.LOCAL, FileLocation.STORE)]
        )
    return [key for key, _ in rows]


def queue_deletions(db: sqlite3.Connection, keys: list[str]) -> None:
    """Queue objects for deletion, in the caller's transaction."""
    db.executemany(
        "INSERT OR IGNORE INTO recording_deletions (key) VALUES (?)", [(key,) for key in keys]
    )


def keys_to_delete(db: sqlite3.Connection, call_id: str) -> set[str]:
    """Return the keys of a call's objects that wait for deletion."""
    query = "SELECT key FROM recording_deletions WHERE instr(key, ?)"
    return {key for (key,) in db.execute(query, (call_id,))}
