"""The files of recordings, as rows: which there are, where each lies, and what is yet to be done.

Every file of a recording begins on the bridge's own disk. With a store it is moved up: the row says
`local` until the object is in the store in full, and only then is the file deleted, so that a
process killed at any moment loses nothing and does at most the same work twice.
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
"""What a recording can be had as."""
_COLUMNS: Final = "recording_id, format, key, size_bytes, place, since, node"


class FileLocation(StrEnum):
    """Where a file lies."""

    WANTED = "wanted"
    """Nowhere: it is yet to be made."""
    LOCAL = "local"
    """Below the storage folder; with a store it waits to be moved up."""
    KEPT = "kept"
    """Where a caller wanted it, and stays."""
    STORE = "store"
    """In the store."""
    LOST = "lost"
    """It could not be made, or is no more."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a recording."""

    recording_id: str
    format: str
    """Of `CONTENT_TYPES`."""
    key: str
    """Path below the storage folder, and name in the store."""
    size_bytes: int
    place: str
    """Of `FileLocation`."""
    since: str
    """When the recording ended."""
    node: str
    """The first two digits of the call's id."""


@dataclass(frozen=True, slots=True)
class UploadBacklog:
    """What waits to be moved up."""

    files: int
    size_bytes: int
    oldest: str | None
    """Since when the oldest waits."""
    deletions: int


class Files:
    """The files of all recordings."""

    def __init__(self, database: Database, *, node: int, nodes: int) -> None:
        """Open the tables.

        Args:
            database: keeps them.
            node: this node's index; it works on the files of its own calls.
            nodes: how many there are; the first sees to those of nodes that are no more.
        """
        self._database = database
        self._own = {"own": f"{node:02X}", "beyond": f"{nodes:02X}" if node == 0 else "~"}
        database.create(SCHEMA)

    async def of(self, recording_id: str) -> list[File]:
        """Give a recording's files that can be had."""
        where = "recording_id = :recording AND place IN ('local', 'kept', 'store') ORDER BY format"
        return await self._select(where, recording=recording_id)

    async def wanted(self, recording_id: str) -> set[str]:
        """Return the formats that copies of a recording are yet to be made in."""
        where = "recording_id = :recording AND place = 'wanted'"
        return {file.format for file in await self._select(where, recording=recording_id)}

    async def waits(self, file: File) -> bool:
        """Report whether a file lies below the storage folder still."""
        where = "recording_id = :recording AND format = :format AND place = 'local'"
        return bool(await self._select(where, recording=file.recording_id, format=file.format))

    async def next(self, place: FileLocation) -> File | None:
        """Give the file of this node's that has waited longest, of those tried least.

        None that another is yet to be made of.
        """
        where = (
            "place = :place AND (node = :own OR node >= :beyond) AND (:place = 'wanted' OR NOT "
            "EXISTS (SELECT 1 FROM recording_files AS other WHERE other.place = 'wanted' AND "
            "other.recording_id = recording_files.recording_id)) ORDER BY attempts, since LIMIT 1"
        )
        found = await self._select(where, place=place, **self._own)
        return found[0] if found else None

    async def move(self, file: File, place: FileLocation, size_bytes: int) -> bool:
        """Say where a file lies now; False when it has been deleted meanwhile.

        One that has come into the store since is then deleted there, too.
        """

        def moved(db: sqlite3.Connection) -> bool:
            row = (place, size_bytes, file.recording_id, file.format)
            changed = db.execute(
                "UPDATE recording_files SET place = ?, size_bytes = ?, attempts = 0 "
                "WHERE recording_id = ? AND format = ?",
                row,
            )
            if not changed.rowcount and place is FileLocation.STORE:
                forget(db, [file.key])
            return bool(changed.rowcount)

        return await self._database.run(moved)

    async def failed(self, file: File) -> None:
        """Count a try in vain: others are tried first."""
        row = (file.recording_id, file.format)
        more = "UPDATE recording_files SET attempts = attempts + 1 WHERE recording_id = ? AND format = ?"
        await self._database.run(lambda db: db.execute(more, row).rowcount)

    async def next_deletion(self) -> str | None:
        """Give the key of an object that is to be deleted in the store."""
        wanted = "SELECT key FROM recording_deletions ORDER BY attempts LIMIT 1"
        row = await self._database.run(lambda db: db.execute(wanted).fetchone())
        return row[0] if row else None

    async def deleted(self, key: str, *, done: bool) -> None:
        """Say that an object is gone from the store, or that the try was in vain."""
        gone = "DELETE FROM recording_deletions WHERE key = ?"
        later = "UPDATE recording_deletions SET attempts = attempts + 1 WHERE key = ?"
        statement = gone if done else later
        await self._database.run(lambda db: db.execute(statement, (key,)).rowcount)

    async def backlog(self) -> UploadBacklog:
        """Count what waits to be moved up, and to be deleted."""
        wanted = (
            "SELECT COUNT(*), COALESCE(SUM(size_bytes), 0), MIN(since), "
            "(SELECT COUNT(*) FROM recording_deletions) FROM recording_files "
            "WHERE place = 'local' AND (node = :own OR node >= :beyond)"
        )
        row = await self._database.run(lambda db: db.execute(wanted, self._own).fetchone())
        return UploadBacklog(*row)

    async def _select(self, where: str, **values: str) -> list[File]:
        wanted = f"SELECT {_COLUMNS} FROM recording_files WHERE {where}"  # noqa: S608
        rows = await self._database.run(lambda db: db.execute(wanted, values).fetchall())
        return [File(*row) for row in rows]


def add(db: sqlite3.Connection, files: list[File]) -> None:
    """Write files down, in a transaction of the caller's."""
    db.executemany(
        f"INSERT OR REPLACE INTO recording_files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [astuple(file) for file in files],
    )


def drop(db: sqlite3.Connection, recording_id: str, *, stored: bool) -> list[str]:
    """Forget a recording's files, in a transaction of the caller's; returns their keys.

    Args:
        db: the open transaction.
        recording_id: whose files.
        stored: whether there is a store, in which they are then to be deleted.
    """
    wanted = "SELECT key, place FROM recording_files WHERE recording_id = ?"
    rows = db.execute(wanted, (recording_id,)).fetchall()
    db.execute("DELETE FROM recording_files WHERE recording_id = ?", (recording_id,))
    if stored:
        # One that is local may be on its way up at this moment.
        forget(
            db, [key for key, place in rows if place in (FileLocation.LOCAL, FileLocation.STORE)]
        )
    return [key for key, _ in rows]


def forget(db: sqlite3.Connection, keys: list[str]) -> None:
    """Have objects deleted in the store, in a transaction of the caller's."""
    db.executemany(
        "INSERT OR IGNORE INTO recording_deletions (key) VALUES (?)", [(key,) for key in keys]
    )


def taken(db: sqlite3.Connection, call_id: str) -> set[str]:
    """The keys of a call's objects that are still to be deleted."""
    wanted = "SELECT key FROM recording_deletions WHERE instr(key, ?)"
    return {key for (key,) in db.execute(wanted, (call_id,))}
