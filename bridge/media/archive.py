"""What was recorded: rows in the database, files in a folder by day, deleted when their time is up."""

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
HEAD_BYTES: Final = 44
BYTES_PER_SECOND: Final = 2 * SAMPLE_RATE
PREFIX: Final = "recordings/"
"""Of all keys that we choose; a path that a caller chose stays where it is."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One track of a call, or all of it mixed."""

    recording_id: str
    call_id: CallId
    line: LineName
    kind: str
    """`inbound`, `outbound` or `mixed`."""
    key: str
    """Path of the file below the storage folder."""
    status: str
    """`recording`, `completed` or `failed`."""
    started_at: str
    ended_at: str | None
    seconds: float
    size_bytes: int
    expires_at: str
    format: str = WAV
    """Of `CONTENT_TYPES`: what was asked for. There is a WAV besides."""

    @property
    def is_ours(self) -> bool:
        """Whether its path is our choice; copies are made of such only."""
        return self.key.startswith(PREFIX)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is kept, and for how long."""

    kept_days: float
    ogg: frozenset[str] = frozenset()
    """The kinds that an Ogg/Opus copy is made of."""
    stored: bool = False
    """Whether there is a store that files are moved up to."""


class Archive:
    """The recordings of all lines."""

    def __init__(
        self, database: Database, folder: Path, rules: Rules, *, node: int = 0, nodes: int = 1
    ) -> None:
        """Open it.

        Args:
            database: keeps the rows.
            folder: what keys are below.
            rules: what is kept, and for how long.
            node: this node's index.
            nodes: how many there are.
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
        """Return where a recording's file lies."""
        return self.folder / recording.key

    def key_of(self, path: Path) -> str:
        """Return the key of a file that a caller chose the place of."""
        return key_of(self.folder, path)

    async def begin(
        self,
        line: LineName,
        call_id: CallId,
        keys: Mapping[str, str | None],
        form: str = WAV,
        parties: Parties | None = None,
    ) -> list[Recording]:
        """Write down which tracks are being recorded; their folders exist afterwards.

        Args:
            line: whose call.
            call_id: which.
            keys: by kind, the path below the storage folder that was chosen for it, if one was.
            form: of `files.CONTENT_TYPES`, what they are wanted as besides.
            parties: who speaks with whom; kept as long as the recordings.
        """
        now = datetime.now(UTC)
        taken = await self._database.run(lambda db: _taken(db, call_id))
        recordings = [
            self._fresh(now, line, call_id, kind, key or self._key(now, call_id, kind, taken))
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
        """Write down how a recording ended."""
        now = iso8601(datetime.now(UTC))
        values = ("failed" if failed else "completed", now, seconds, size_bytes, recording_id)

        def finished(db: sqlite3.Connection) -> Recording:
            db.execute(
                "UPDATE recordings SET status = ?, ended_at = ?, seconds = ?, size_bytes = ? "
                "WHERE recording_id = ?",
                values,
            )
            wanted = f"SELECT {_COLUMNS}, {_FORMAT} FROM recordings WHERE recording_id = ?"  # noqa: S608
            recording = Recording(*db.execute(wanted, (recording_id,)).fetchone())
            files.add(db, self._files_of(recording, now))
            return recording

        return await self._database.run(finished)

    async def ask_for(self, recording_id: str, form: str) -> None:
        """Write down as what a recording is wanted that has not ended yet."""
        await self._database.run(lambda db: _ask_for(db, [(recording_id, form)]))

    async def of_call(self, line: LineName, call_id: CallId) -> list[Recording]:
        """Give a call's recordings."""
        return await self._select("line = ? AND call_id = ?", line, call_id)

    async def find(self, line: LineName, recording_id: str) -> Recording:
        """Give one recording.

        Raises:
            NotFound: the line has none with this id.
        """
        found = await self._select("line = ? AND recording_id = ?", line, recording_id)
        if not found:
            raise NotFound("there is no such recording")
        return found[0]

    async def signed(self, recording_id: str) -> Recording:
        """Give one recording of any line, to whoever has a signed link to it.

        Raises:
            NotFound: there is none with this id.
        """
        found = await self._select("recording_id = ?", recording_id)
        if not found:
            raise NotFound("there is no such recording")
        return found[0]

    async def recorded(self, line: LineName, call_ids: Iterable[CallId]) -> set[CallId]:
        """Say which of these calls are being recorded now, on whatever node."""
        wanted = json.dumps(list(call_ids))
        found = await self._select(
            "line = ? AND status = 'recording' AND call_id IN (SELECT value FROM json_each(?))",
            line,
            wanted,
        )
        return {recording.call_id for recording in found}

    async def delete(self, recording: Recording) -> None:
        """Delete a recording, rows and files; what is in the store goes as soon as that allows."""

        def gone(db: sqlite3.Connection) -> list[str]:
            row = (recording.recording_id,)
            db.execute("DELETE FROM recordings WHERE recording_id = ?", row)
            db.execute("DELETE FROM recording_formats WHERE recording_id = ?", row)
            db.execute(
                "DELETE FROM recorded_calls WHERE call_id = ?1 "
                "AND NOT EXISTS (SELECT 1 FROM recordings WHERE call_id = ?1)",
                (recording.call_id,),
            )
            return files.drop(db, recording.recording_id, stored=self._rules.stored)

        for key in {recording.key, *await self._database.run(gone)}:
            (self.folder / key).unlink(missing_ok=True)

    async def sweep(self) -> int:
        """Delete what has been kept long enough; returns how many."""
        now = iso8601(datetime.now(UTC))
        old = await self._select("expires_at < ? AND status != 'recording'", now)
        for recording in old:
            await self.delete(recording)
        return len(old)

    async def cut_off(self) -> list[Recording]:
        """Finish what this node's forerunner was recording when it was killed.

        The file holds what was written up to a second before; its head already counts it. The
        first node sees to those of nodes that are no more, too.
        """
        own = f"{self._node:02X}"
        beyond = f"{self._nodes:02X}" if self._node == 0 else "~"
        where = (
            "status = 'recording' AND started_at <= ? AND "
            "(substr(call_id, 1, 2) = ? OR substr(call_id, 1, 2) >= ?)"
        )
        finished = []
        for recording in await self._select(where, self._opened, own, beyond):
            size = _mend(self.path(recording))
            seconds = max(0, size - HEAD_BYTES) / BYTES_PER_SECOND
            finished.append(
                await self.finish(
                    recording.recording_id, seconds=seconds, size_bytes=size, failed=size == 0
                )
            )
        return finished

    def _files_of(self, recording: Recording, now: str) -> list[File]:
        """Say which files a recording that has just ended has, and will have."""
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

    def _key(self, now: datetime, call_id: str, kind: str, taken: set[str]) -> str:
        suffix = "" if kind == "inbound" else f".{kind}"
        key = f"{PREFIX}{now:%Y/%m/%d}/{call_id}{suffix}.wav"
        if key in taken or (self.folder / key).exists():
            key = key.removesuffix(".wav") + f".{secrets.token_hex(4)}.wav"
        return key

    def _fresh(
        self, now: datetime, line: LineName, call_id: CallId, kind: str, key: str
    ) -> Recording:
        recording_id = f"rec_{secrets.token_hex(12)}"
        until = iso8601(now + self._kept)
        return Recording(
            recording_id, call_id, line, kind, key, "recording", iso8601(now), None, 0.0, 0, until
        )

    async def _select(self, where: str, *values: str) -> list[Recording]:
        wanted = (
            f"SELECT {_COLUMNS}, {_FORMAT} FROM recordings WHERE {where} "  # noqa: S608
            "ORDER BY started_at, kind"
        )
        rows = await self._database.run(lambda db: db.execute(wanted, values).fetchall())
        return [Recording(*row) for row in rows]


def key_of(folder: Path, path: Path) -> str:
    """Return the path below the storage folder, or the whole path where it lies elsewhere."""
    storage = folder.resolve()
    return str(path.relative_to(storage) if path.is_relative_to(storage) else path)


async def owner_of(database: Database, folder: Path, path: Path) -> LineName | None:
    """Return the line that a file was recorded for; None for any other file.

    Args:
        database: of the archive.
        folder: what keys are below.
        path: the file's, links followed.
    """
    wanted, key = "SELECT line FROM recordings WHERE key = ?", key_of(folder, path)
    row = await database.run(lambda db: db.execute(wanted, (key,)).fetchone())
    return LineName(row[0]) if row else None


def _mend(path: Path) -> int:
    """Let a file's head count all its sound; returns its size, 0 where there is no file."""
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(make_header(max(0, size - HEAD_BYTES)))
    except OSError:
        return 0
    return size


def _taken(db: sqlite3.Connection, call_id: CallId) -> set[str]:
    """The keys of a call's recordings, those included whose objects are still to be deleted."""
    rows = db.execute("SELECT key FROM recordings WHERE call_id = ?", (call_id,))
    return {key for (key,) in rows} | files.taken(db, call_id)


def _insert(db: sqlite3.Connection, recordings: Sequence[Recording]) -> None:
    db.executemany(
        f"INSERT INTO recordings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [astuple(recording)[:-1] for recording in recordings],
    )
    _ask_for(db, [(row.recording_id, row.format) for row in recordings if row.format != WAV])


def _ask_for(db: sqlite3.Connection, rows: Iterable[tuple[str, str]]) -> None:
    db.executemany("INSERT OR REPLACE INTO recording_formats VALUES (?, ?)", rows)
