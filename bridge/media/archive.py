"""The recordings: database rows, and files in folders by day, deleted after the retention time."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bridge.audio.frame import SAMPLE_RATE
from bridge.audio.wav import make_header
from bridge.call.model import CallId, LineName, Parties
from bridge.errors import NotFound
from bridge.media import files
from bridge.media.files import OGG, WAV, File, FileLocation, Files
from bridge.media.recording_search import RecordingSearch
from bridge.net.database import Database
from bridge.wire.iso8601 import iso8601

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS recordings (
    recording_id TEXT PRIMARY KEY,
    call_id TEXT NOT NULL,
    line TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    seconds REAL NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    expires_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS recordings_of_calls ON recordings (line, call_id);
CREATE INDEX IF NOT EXISTS recordings_by_key ON recordings (key);
CREATE TABLE IF NOT EXISTS recording_formats (
    recording_id TEXT PRIMARY KEY,
    format TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recorded_calls (
    call_id TEXT PRIMARY KEY,
    from_party TEXT NOT NULL,
    to_party TEXT NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS: Final = (
    "recording_id, call_id, line, kind, key, status, started_at, ended_at, seconds, size_bytes, "
    "expires_at"
)
_FORMAT: Final = (
    "COALESCE((SELECT format FROM recording_formats "
    "WHERE recording_formats.recording_id = recordings.recording_id), 'wav')"
)
HEADER_BYTES: Final = 44
BYTES_PER_SECOND: Final = 2 * SAMPLE_RATE
PREFIX: Final = "recordings/"
"""Of all keys that the bridge chooses; a file whose path a caller chose is never moved."""


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
    format: str = WAV
    """The requested format, of `CONTENT_TYPES`; there is always a WAV too."""

    @property
    def is_ours(self) -> bool:
        """Whether the bridge chose its path; only such recordings are copied."""
        return self.key.startswith(PREFIX)


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Which files are kept, and for how long."""

    kept_days: float
    ogg: frozenset[str] = frozenset()
    """Kinds of recording of which an Ogg/Opus copy is made."""
    stored: bool = False
    """Whether files are uploaded to object storage."""


class Archive:
    """The recordings of all lines."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        rules: RetentionRules,
        *,
        node: int = 0,
        nodes: int = 1,
    ) -> None:
        """Open the archive.

        Args:
            database: Stores the rows.
            folder: The storage folder, to which keys are relative.
            rules: Retention.
            node: Index of this node.
            nodes: Number of nodes.
        """
        self._database = database
        self.folder = folder
        self._rules = rules
        self._kept = timedelta(days=rules.kept_days)
        self._node, self._nodes = node, nodes
        self._opened = iso8601(datetime.now(UTC))
        database.create(SCHEMA)
        self.files = Files(database, node=node, nodes=nodes)
        self.search = RecordingSearch(database)

    def path(self, recording: Recording) -> Path:
        """Return the path of a recording's WAV."""
        return self.folder / recording.key

    def key_of(self, path: Path) -> str:
        """Return the key of a path that a caller chose."""
        return key_of(self.folder, path)

    async def begin(
        self,
        line: LineName,
        call_id: CallId,
        keys: Mapping[str, str | None],
        form: str = WAV,
        parties: Parties | None = None,
    ) -> list[Recording]:
        """Insert recordings that are starting, and create their folders.

        Args:
            line: The call's line.
            call_id: The call.
            keys: By kind of recording, the key that a caller chose, or None.
            form: The requested format, of `files.CONTENT_TYPES`.
            parties: The parties of the call.
        """
        now = datetime.now(UTC)
        used = await self._database.run(lambda db: _used_keys(db, call_id))
        recordings = [
            self._new(now, line, call_id, kind, key or self._key(now, call_id, kind, used))
            for kind, key in keys.items()
        ]
        recordings = [replace(recording, format=form) for recording in recordings]
        for recording in recordings:
            self.path(recording).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        who = parties or Parties()

        def work(db: sqlite3.Connection) -> None:
            _insert(db, recordings)
            row = (call_id, who.from_, who.to)
            db.execute("INSERT OR REPLACE INTO recorded_calls VALUES (?, ?, ?)", row)

        await self._database.run(work)
        return recordings

    async def finish(
        self, recording_id: str, *, seconds: float, size_bytes: int, failed: bool
    ) -> Recording:
        """Update a recording that has ended."""
        now = iso8601(datetime.now(UTC))
        values = ("failed" if failed else "completed", now, seconds, size_bytes, recording_id)

        def finished(db: sqlite3.Connection) -> Recording:
            db.execute(
                "UPDATE recordings SET status = ?, ended_at = ?, seconds = ?, size_bytes = ? "
                "WHERE recording_id = ?",
                values,
            )
            query = f"SELECT {_COLUMNS}, {_FORMAT} FROM recordings WHERE recording_id = ?"  # noqa: S608
            recording = Recording(*db.execute(query, (recording_id,)).fetchone())
            files.add(db, self._files_of(recording, now))
            return recording

        return await self._database.run(finished)

    async def request_format(self, recording_id: str, form: str) -> None:
        """Request a format of a recording that has not ended yet."""
        await self._database.run(lambda db: _request_formats(db, [(recording_id, form)]))

    async def of_call(self, line: LineName, call_id: CallId) -> list[Recording]:
        """Return a call's recordings."""
        return await self._select("line = ? AND call_id = ?", line, call_id)

    async def find(self, line: LineName, recording_id: str) -> Recording:
        """Return a recording of a line.

        Raises:
            NotFound: The line has no recording with this id.
        """
        found = await self._select("line = ? AND recording_id = ?", line, recording_id)
        if not found:
            raise NotFound("recording not found")
        return found[0]

    async def find_any(self, recording_id: str) -> Recording:
        """Return a recording of any line, for a signed link.

        Raises:
            NotFound: There is no recording with this id.
        """
        found = await self._select("recording_id = ?", recording_id)
        if not found:
            raise NotFound("recording not found")
        return found[0]

    async def being_recorded(self, line: LineName, call_ids: Iterable[CallId]) -> set[CallId]:
        """Return which of these calls are being recorded now, on any node."""
        wanted = json.dumps(list(call_ids))
        found = await self._select(
            "line = ? AND status = 'recording' AND call_id IN (SELECT value FROM json_each(?))",
            line,
            wanted,
        )
        return {recording.call_id for recording in found}

    async def delete(self, recording: Recording) -> None:
        """Delete a recording's rows and files; stored objects are queued for deletion."""

        def delete_rows(db: sqlite3.Connection) -> list[str]:
            row = (recording.recording_id,)
            db.execute("DELETE FROM recordings WHERE recording_id = ?", row)
            db.execute("DELETE FROM recording_formats WHERE recording_id = ?", row)
            db.execute(
                "DELETE FROM recorded_calls WHERE call_id = ?1 "
                "AND NOT EXISTS (SELECT 1 FROM recordings WHERE call_id = ?1)",
                (recording.call_id,),
            )
            return files.remove(db, recording.recording_id, stored=self._rules.stored)

        for key in {recording.key, *await self._database.run(delete_rows)}:
            (self.folder / key).unlink(missing_ok=True)

    async def sweep(self) -> int:
        """Delete expired recordings and return their number."""
        now = iso8601(datetime.now(UTC))
        expired = await self._select("expires_at < ? AND status != 'recording'", now)
        for recording in expired:
            await self.delete(recording)
        return len(expired)

    async def finish_interrupted(self) -> list[Recording]:
        """Finish recordings that were interrupted when this node's previous process was killed.

        A file has what was written up to a second before. The first node also finishes those of
        nodes that no longer exist.
        """
        own = f"{self._node:02X}"
        beyond = f"{self._nodes:02X}" if self._node == 0 else "~"
        where = (
            "status = 'recording' AND started_at <= ? AND "
            "(substr(call_id, 1, 2) = ? OR substr(call_id, 1, 2) >= ?)"
        )
        finished = []
        for recording in await self._select(where, self._opened, own, beyond):
            size = _repair_header(self.path(recording))
            seconds = max(0, size - HEADER_BYTES) / BYTES_PER_SECOND
            finished.append(
                await self.finish(
                    recording.recording_id, seconds=seconds, size_bytes=size, failed=size == 0
                )
            )
        return finished

    def _files_of(self, recording: Recording, now: str) -> list[File]:
        """Return the files of a recording that has just ended, copies to be made included."""
        if not recording.size_bytes:
            return []
        node = recording.call_id[:2]
        place = FileLocation.LOCAL if recording.is_ours else FileLocation.KEPT
        identity = recording.recording_id
        found = [File(identity, WAV, recording.key, recording.size_bytes, place, now, node)]
        if place is FileLocation.LOCAL and recording.seconds:
            copies = {OGG} if recording.kind in self._rules.ogg else set()
            for form in sorted(copies | {recording.format} - {WAV}):
                key = f"{recording.key.removesuffix('.wav')}.{form}"
                found.append(File(identity, form, key, 0, FileLocation.WANTED, now, node))
        return found

    def _key(self, now: datetime, call_id: str, kind: str, used: set[str]) -> str:
        suffix = "" if kind == "inbound" else f".{kind}"
        key = f"{PREFIX}{now:%Y/%m/%d}/{call_id}{suffix}.wav"
        if key in used or (self.folder / key).exists():
            key = key.removesuffix(".wav") + f".{secrets.token_hex(4)}.wav"
        return key

    def _new(
        self, now: datetime, line: LineName, call_id: CallId, kind: str, key: str
    ) -> Recording:
        recording_id = f"rec_{secrets.token_hex(12)}"
        until = iso8601(now + self._kept)
        return Recording(
            recording_id, call_id, line, kind, key, "recording", iso8601(now), None, 0.0, 0, until
        )

    async def _select(self, where: str, *values: str) -> list[Recording]:
        query = (
            f"SELECT {_COLUMNS}, {_FORMAT} FROM recordings WHERE {where} "  # noqa: S608
            "ORDER BY started_at, kind"
        )
        rows = await self._database.run(lambda db: db.execute(query, values).fetchall())
        return [Recording(*row) for row in rows]


def key_of(folder: Path, path: Path) -> str:
    """Return the path relative to the storage folder, or the whole path if it is outside."""
    storage = folder.resolve()
    return str(path.relative_to(storage) if path.is_relative_to(storage) else path)


async def owner_of(database: Database, folder: Path, path: Path) -> LineName | None:
    """Return the line of a recording with a resolved path; None for any other file."""
    query, key = "SELECT line FROM recordings WHERE key = ?", key_of(folder, path)
    row = await database.run(lambda db: db.execute(query, (key,)).fetchone())
    return LineName(row[0]) if row else None


def _repair_header(path: Path) -> int:
    """Correct the length in a file's header; return its size, 0 if it does not exist."""
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(make_header(max(0, size - HEADER_BYTES)))
    except OSError:
        return 0
    return size


def _used_keys(db: sqlite3.Connection, call_id: CallId) -> set[str]:
    """Return the keys of a call's recordings and of its objects waiting for deletion."""
    rows = db.execute("SELECT key FROM recordings WHERE call_id = ?", (call_id,))
    return {key for (key,) in rows} | files.keys_to_delete(db, call_id)


def _insert(db: sqlite3.Connection, recordings: Sequence[Recording]) -> None:
    db.executemany(
        f"INSERT INTO recordings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [astuple(recording)[:-1] for recording in recordings],
    )
    _request_formats(
        db, [(row.recording_id, row.format) for row in recordings if row.format != WAV]
    )


def _request_formats(db: sqlite3.Connection, rows: Iterable[tuple[str, str]]) -> None:
    db.executemany("INSERT OR REPLACE INTO recording_formats VALUES (?, ?)", rows)
