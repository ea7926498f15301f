"""What was recorded: rows in the database, files in a folder by day, deleted when their time is up."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bridge.audio.wav import header
from bridge.call.model import CallId, LineName
from bridge.errors import NotFound
from bridge.net.database import Database
from bridge.wire.moment import moment

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
"""
_COLUMNS: Final = (
    "recording_id, call_id, line, kind, key, status, started_at, ended_at, seconds, size_bytes, "
    "expires_at"
)
HEAD_BYTES: Final = 44


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


class Archive:
    """The recordings of all lines."""

    def __init__(self, database: Database, folder: Path, *, kept_days: float) -> None:
        self._database = database
        self.folder = folder
        self._kept = timedelta(days=kept_days)
        database.create(SCHEMA)

    def path(self, recording: Recording) -> Path:
        """Say where a recording's file lies."""
        return self.folder / recording.key

    async def begin(
        self, line: LineName, call_id: CallId, keys: Mapping[str, str | None]
    ) -> list[Recording]:
        """Write down which tracks are being recorded; their folders exist afterwards.

        Args:
            line: whose call.
            call_id: which.
            keys: by kind, the path below the storage folder that was chosen for it, if one was.
        """
        now = datetime.now(UTC)
        recordings = [self._fresh(now, line, call_id, kind, key) for kind, key in keys.items()]
        for recording in recordings:
            self.path(recording).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._database.run(lambda db: _insert(db, recordings))
        return recordings

    async def finish(
        self, recording_id: str, *, seconds: float, size_bytes: int, failed: bool
    ) -> Recording:
        """Write down how a recording ended."""
        values = (
            "failed" if failed else "completed",
            moment(datetime.now(UTC)),
            seconds,
            size_bytes,
            recording_id,
        )
        await self._database.run(
            lambda db: (
                db.execute(
                    "UPDATE recordings SET status = ?, ended_at = ?, seconds = ?, size_bytes = ? "
                    "WHERE recording_id = ?",
                    values,
                ).rowcount
            )
        )
        [recording] = await self._select("recording_id = ?", recording_id)
        return recording

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
        """Delete a recording, row and file."""
        gone = "DELETE FROM recordings WHERE recording_id = ?"
        await self._database.run(lambda db: db.execute(gone, (recording.recording_id,)).rowcount)
        self.path(recording).unlink(missing_ok=True)

    async def sweep(self) -> int:
        """Delete what has been kept long enough; returns how many."""
        now = moment(datetime.now(UTC))
        old = await self._select("expires_at < ? AND status != 'recording'", now)
        for recording in old:
            await self.delete(recording)
        return len(old)

    async def cut_off(self, node: int) -> list[Recording]:
        """Finish what a node's forerunner was recording when it was killed.

        The file holds what was written up to a second before; its head already counts it.
        """
        found = await self._select("status = 'recording' AND call_id LIKE ?", f"{node:02X}%")
        finished = []
        for recording in found:
            size = _mend(self.path(recording))
            seconds = max(0, size - HEAD_BYTES) / 32000
            finished.append(
                await self.finish(
                    recording.recording_id, seconds=seconds, size_bytes=size, failed=size == 0
                )
            )
        return finished

    def _fresh(
        self, now: datetime, line: LineName, call_id: CallId, kind: str, key: str | None
    ) -> Recording:
        recording_id = f"rec_{secrets.token_hex(12)}"
        chosen = key or _key(now, call_id, kind, recording_id, self.folder)
        until = moment(now + self._kept)
        return Recording(
            recording_id, call_id, line, kind, chosen, "recording", moment(now), None, 0.0, 0, until
        )

    async def _select(self, where: str, *values: str) -> list[Recording]:
        wanted = f"SELECT {_COLUMNS} FROM recordings WHERE {where} ORDER BY started_at, kind"  # noqa: S608
        rows = await self._database.run(lambda db: db.execute(wanted, values).fetchall())
        return [Recording(*row) for row in rows]


def _key(now: datetime, call_id: str, kind: str, recording_id: str, folder: Path) -> str:
    suffix = "" if kind == "inbound" else f".{kind}"
    key = f"recordings/{now:%Y/%m/%d}/{call_id}{suffix}.wav"
    if (folder / key).exists():
        key = key.removesuffix(".wav") + f".{recording_id}.wav"
    return key


def _mend(path: Path) -> int:
    """Let a file's head count all its sound; returns its size, 0 where there is no file."""
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(header(max(0, size - HEAD_BYTES)))
    except OSError:
        return 0
    return size


def _insert(db: sqlite3.Connection, recordings: Iterable[Recording]) -> None:
    db.executemany(
        f"INSERT INTO recordings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [astuple(recording) for recording in recordings],
    )
