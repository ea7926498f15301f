"""Sound that a line keeps to play again and again: files below the data folder, rows in the database."""

import secrets
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.call.model import LineName
from bridge.errors import InvalidRequest, LimitExceeded, NotFound, PayloadTooLarge
from bridge.media.decoders import Decoders
from bridge.media.sounds import MAX_BYTES, Sound
from bridge.net.database import Database
from bridge.wire.iso8601 import iso8601

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS assets (
    asset_id TEXT PRIMARY KEY,
    line TEXT NOT NULL,
    filename TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    duration REAL,
    created_at TEXT NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS: Final = "asset_id, filename, content_type, size_bytes, duration, created_at"


@dataclass(frozen=True, slots=True)
class Asset:
    """One kept sound."""

    asset_id: str
    filename: str
    content_type: str
    size_bytes: int
    duration: float | None
    """Seconds, where the file says so."""
    created_at: str
    """ISO 8601 in UTC."""


@dataclass(frozen=True, slots=True)
class AssetQuota:
    """How much of it a line may keep."""

    count: int
    octets: int

    def check(self, db: sqlite3.Connection, line: LineName, octets: int) -> None:
        """See whether a line may keep one more, of so many bytes.

        Raises:
            LimitExceeded: it keeps all that it may.
        """
        kept = "SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM assets WHERE line = ?"
        count, size = db.execute(kept, (line,)).fetchone()
        if count >= self.count:
            raise LimitExceeded("the line keeps all its assets (limits.assets_per_line)")
        if size + octets > self.octets:
            raise LimitExceeded("the line's assets take all their room (limits.assets_mb_per_line)")


class Assets:
    """The kept sounds of all lines."""

    def __init__(
        self, database: Database, folder: Path, decoders: Decoders, quota: AssetQuota
    ) -> None:
        self._quota = quota
        self._database = database
        self._folder = folder
        self._decoders = decoders
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        database.create(SCHEMA)

    async def add(
        self, line: LineName, pieces: AsyncIterator[bytes], *, filename: str, content_type: str
    ) -> Asset:
        """Keep a sound, once it has proved to be one.

        Raises:
            InvalidMedia: it cannot be played.
            InvalidRequest: it is empty.
            PayloadTooLarge: it is over 32 MB.
            LimitExceeded: the line keeps all that it may already.
        """
        await self._database.run(lambda db: self._quota.check(db, line, 0))
        asset_id = f"asset_{secrets.token_hex(12)}"
        path = self._folder / asset_id
        try:
            size = await _write(path, pieces)
            decoding = await self._decoders.open(path, line)
            await decoding.aclose()
            created = iso8601(datetime.now(UTC))
            asset = Asset(asset_id, filename, content_type, size, decoding.duration, created)
            # Others may have come meanwhile.
            await self._database.run(lambda db: self._insert(db, line, asset))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return asset

    def _insert(self, db: sqlite3.Connection, line: LineName, asset: Asset) -> None:
        self._quota.check(db, line, asset.size_bytes)
        _insert(db, line, asset)

    async def list(self, line: LineName) -> list[Asset]:
        """Give a line's sounds, the oldest first."""
        wanted = f"SELECT {_COLUMNS} FROM assets WHERE line = ? ORDER BY created_at, asset_id"  # noqa: S608
        rows = await self._database.run(lambda db: db.execute(wanted, (line,)).fetchall())
        return [Asset(*row) for row in rows]

    async def find(self, line: LineName, asset_id: str) -> Sound:
        """Give a line's sound to play.

        Raises:
            NotFound: the line has no such sound.
        """
        wanted = "SELECT asset_id FROM assets WHERE line = ? AND asset_id = ?"
        row = await self._database.run(lambda db: db.execute(wanted, (line, asset_id)).fetchone())
        if row is None:
            raise NotFound("there is no such audio asset", field="assetId")
        return Sound(self._folder / row[0])

    async def delete(self, line: LineName, asset_id: str) -> None:
        """Forget a sound; what plays it now plays on, unless it is paused or to be repeated.

        Raises:
            NotFound: the line has no such sound.
        """
        sound = await self.find(line, asset_id)
        gone = "DELETE FROM assets WHERE line = ? AND asset_id = ?"
        await self._database.run(lambda db: db.execute(gone, (line, asset_id)).rowcount)
        sound.path.unlink(missing_ok=True)


async def _write(path: Path, pieces: AsyncIterator[bytes]) -> int:
    size = 0
    with path.open("wb") as file:
        async for piece in pieces:
            size += len(piece)
            if size > MAX_BYTES:
                raise PayloadTooLarge("an audio asset may have 32 MB")
            file.write(piece)
    if not size:
        raise InvalidRequest("audio: the file is empty", field="audio")
    return size


def _insert(db: sqlite3.Connection, line: LineName, asset: Asset) -> None:
    db.execute(
        "INSERT INTO assets (asset_id, line, filename, content_type, size_bytes, duration, "
        "created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            asset.asset_id,
            line,
            asset.filename,
            asset.content_type,
            asset.size_bytes,
            asset.duration,
            asset.created_at,
        ),
    )
