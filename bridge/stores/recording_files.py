"""Database rows of the files of recordings: where each is, and what remains to be done.

Every file starts on the local disk. With object storage it is uploaded: the row says `local` until
the object is complete, and only then is the file deleted, so that a process killed at any moment
loses nothing and at most repeats an upload.
"""

from dataclasses import astuple, dataclass, fields, replace
from enum import StrEnum
from typing import Final

from bridge.audio.file.formats import CONTENT_TYPES, RECORDED, WAV
from bridge.audio.file.wav import file_bytes
from bridge.call.recording import parts_of
from bridge.db.database import Connection, Database, count_rows, marks
from bridge.stores.share import Share

_OWN: Final = "machine = :machine AND instr(:others, node) = 0"
"""Condition: a file of this process's share (`stores.share.Share.of_machine`)."""


class FileLocation(StrEnum):
    """Where a file is."""

    WANTED = "wanted"
    """A copy or mix that has not been made yet."""
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
    """Of `audio.file.formats`."""
    key: str
    """Path below the storage folder, and object key."""
    size_bytes: int
    place: str
    """Of `FileLocation`."""
    since: str
    """When the recording ended."""
    node: str
    """The first two digits of the call's id."""
    machine: str
    """On whose disk it is, or was before it was stored."""

    @property
    def content_type(self) -> str:
        """Of its format."""
        return CONTENT_TYPES[self.format]


_NAMES: Final = tuple(field.name for field in fields(File))
_COLUMNS: Final = ", ".join(_NAMES)
_REPLACED: Final = ", ".join(f"{name} = excluded.{name}" for name in _NAMES[2:])


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

    def __init__(self, database: Database, share: Share) -> None:
        self._database = database
        self.share = share

    async def of(self, recording_id: str) -> list[File]:
        """Return the available files of a recording."""
        where = "recording_id = :recording AND place IN ('local', 'kept', 'store') ORDER BY format"
        return await self._select(where, recording=recording_id)

    async def find(self, recording_id: str, file_format: str) -> File | None:
        """Return a recording's file of a format; None if there is none, or not yet."""
        return next(
            (file for file in await self.of(recording_id) if file.format == file_format), None
        )

    async def offered(self, recording_id: str, seconds: float) -> list[File]:
        """Return the files that can be had of a recording: a WAV, if need be, is made on demand."""
        files = await self.of(recording_id)
        waiting = [] if files else await self.waiting(recording_id)
        source = next((file for file in (*files, *waiting) if file.format in RECORDED), None)
        if source is None or any(file.format == WAV for file in files):
            return files
        return [*files, replace(source, format=WAV, size_bytes=file_bytes(seconds))]

    async def is_at(self, place: FileLocation, recording_id: str, file_format: str) -> bool:
        """Return whether a recording's file of a format is at a place now."""
        where = "recording_id = :recording AND format = :format AND place = :place"
        return bool(
            await self._select(where, recording=recording_id, format=file_format, place=place)
        )

    async def next(self, place: FileLocation) -> File | None:
        """Return the next file of this process's share: fewest attempts first, then oldest.

        Files of which a copy remains to be made are excluded.
        """
        where = (
            f"place = :place AND {_OWN} "  # noqa: S608
            "AND (:place = 'wanted' OR NOT EXISTS (SELECT 1 FROM recording_files AS other WHERE other.place = 'wanted' AND "
            "other.recording_id = recording_files.recording_id)) ORDER BY attempts, since LIMIT 1"
        )
        found = await self._select(where, place=place, **self.share.of_machine())
        return found[0] if found else None

    async def move(self, file: File, place: FileLocation, size_bytes: int) -> bool:
        """Update a file's location; return False if the recording has been deleted meanwhile.

        In that case an uploaded object is queued for deletion; of a WAV that is stored, its parts are.
        A mix that has been made is the recording's file; one that could not be made is a failed recording.
        """

        def moved(db: Connection) -> bool:
            row = (place, size_bytes, file.recording_id, file.format)
            changed = db.execute(
                "UPDATE recording_files SET place = ?, size_bytes = ?, attempts = 0 "
                "WHERE recording_id = ? AND format = ?",
                row,
            )
            if place is FileLocation.STORE:
                obsolete = [] if changed.rowcount else [file.key]
                live = "recordings WHERE recording_id = ? AND live = 1"
                if file.format == WAV and count_rows(db, live, (file.recording_id,)):
                    obsolete.append(parts_of(file.recording_id))
                queue_deletions(db, obsolete)
            if file.place == FileLocation.WANTED:
                status = ", status = 'failed'" if place is FileLocation.LOST else ""
                db.execute(
                    f"UPDATE recordings SET size_bytes = ?{status} WHERE recording_id = ? AND key = ?",  # noqa: S608
                    (size_bytes, file.recording_id, file.key),
                )
            return bool(changed.rowcount)

        return await self._database.run(moved)

    async def waiting(self, recording_id: str) -> list[File]:
        """Return the copies of a recording that remain to be made."""
        return await self._select(
            "recording_id = :recording AND place = 'wanted'", recording=recording_id
        )

    async def insert(self, file: File) -> bool:
        """Insert a file that was made on demand; return False if the recording has been deleted."""

        def inserted(db: Connection) -> bool:
            if not count_rows(db, "recordings WHERE recording_id = ?", (file.recording_id,)):
                return False
            add(db, [file])
            return True

        return await self._database.run(inserted)

    async def failed(self, file: File) -> None:
        """Count a failed attempt, so that other files are tried first."""
        row = (file.recording_id, file.format)
        query = "UPDATE recording_files SET attempts = attempts + 1 WHERE recording_id = ? AND format = ?"
        await self._database.run(lambda db: db.execute(query, row).rowcount)

    async def next_deletion(self) -> str | None:
        """Return the key of an object to delete."""
        query = "SELECT key FROM recording_deletions ORDER BY attempts LIMIT 1"
        row = await self._database.read(lambda db: db.execute(query).fetchone())
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
            "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT), MIN(since), "  # noqa: S608
            "(SELECT COUNT(*) FROM recording_deletions) FROM recording_files "
            f"WHERE place = 'local' AND {_OWN}"
        )
        share = self.share.of_machine()
        row = await self._database.read(lambda db: db.execute(query, share).fetchone())
        return UploadBacklog(*row)

    async def _select(self, where: str, **values: str) -> list[File]:
        query = f"SELECT {_COLUMNS} FROM recording_files WHERE {where}"  # noqa: S608
        rows = await self._database.read(lambda db: db.execute(query, values).fetchall())
        return [File(*row) for row in rows]


def add(db: Connection, files: list[File]) -> None:
    """Insert files, in the caller's transaction."""
    db.executemany(
        f"INSERT INTO recording_files ({_COLUMNS}) VALUES {marks(_NAMES)} "  # noqa: S608
        f"ON CONFLICT (recording_id, format) DO UPDATE SET {_REPLACED}, attempts = 0",
        [astuple(file) for file in files],
    )


def remove(db: Connection, recording_id: str, *, stored: bool) -> list[tuple[str, str]]:
    """Delete a recording's rows in the caller's transaction; return the machine and key of each file.

    If `stored`, their objects are queued for deletion.
    """
    query = "SELECT machine, key, place FROM recording_files WHERE recording_id = ?"
    rows = db.execute(query, (recording_id,)).fetchall()
    db.execute("DELETE FROM recording_files WHERE recording_id = ?", (recording_id,))
    if stored:
        # A local file may be in the middle of its upload.
        places = (FileLocation.LOCAL, FileLocation.STORE)
        queue_deletions(db, [key for _, key, place in rows if place in places])
    return [(machine, key) for machine, key, _ in rows]


def queue_unlinks(db: Connection, files: list[tuple[str, str]]) -> None:
    """Queue files for deletion by the machines that have them, in the caller's transaction."""
    db.executemany(
        "INSERT INTO file_deletions (machine, key) VALUES (?, ?) ON CONFLICT DO NOTHING", files
    )


def unlinks(db: Connection, machine: str) -> list[str]:
    """Return the keys of a machine's files that wait for deletion, some of them if they are many."""
    query = "SELECT key FROM file_deletions WHERE machine = ? LIMIT 500"
    return [key for (key,) in db.execute(query, (machine,))]


def unlinked(db: Connection, machine: str, keys: list[str]) -> None:
    """Record that files of a machine have been deleted."""
    db.executemany(
        "DELETE FROM file_deletions WHERE machine = ? AND key = ?", [(machine, key) for key in keys]
    )


def queue_deletions(db: Connection, keys: list[str]) -> None:
    """Queue objects for deletion, in the caller's transaction; a key that ends with `/` is a prefix."""
    db.executemany(
        "INSERT INTO recording_deletions (key) VALUES (?) ON CONFLICT DO NOTHING",
        [(key,) for key in keys],
    )


def keys_to_delete(db: Connection, call_id: str) -> set[str]:
    """Return the keys of a call's objects that wait for deletion."""
    query = "SELECT key FROM recording_deletions WHERE instr(key, ?) > 0"
    return {key for (key,) in db.execute(query, (call_id,))}
