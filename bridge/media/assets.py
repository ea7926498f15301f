"""Audio assets: files that a line uploads once and plays repeatedly."""

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
    """One asset."""

    asset_id: str
    filename: str
    content_type: str
    size_bytes: int
    duration: float | None
    """Seconds, if the file declares it."""
    created_at: str
    """ISO 8601 in UTC."""


@dataclass(frozen=True, slots=True)
class AssetQuota:
    """Limits of a line's assets."""

    count: int
    octets: int

    def check(self, db: sqlite3.Connection, line: LineName, octets: int) -> None:
        """Check that a line may add an asset.

        Raises:
            LimitExceeded: The line has reached a limit.
        """
        query = "SELECT COUNT(*), COALESCE(SUM(size_bytes), 0) FROM assets WHERE line = ?"
        count, size = db.execute(query, (line,)).fetchone()
        if count >= self.count:
            raise LimitExceeded("the line has its maximum of assets (limits.assets_per_line)")
        if size + octets > self.octets:
            raise LimitExceeded(
                "the line's assets have their maximum size (limits.assets_mb_per_line)"
            )


class Assets:
    """The assets of all lines."""

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
        """Store an asset after checking that it can be decoded.

        Raises:
            InvalidMedia: It cannot be decoded.
            InvalidRequest: It is empty.
            PayloadTooLarge: It is larger than 32 MB.
            LimitExceeded: The line has reached a limit.
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
            # Other assets may have been added meanwhile.
            await self._database.run(lambda db: self._insert(db, line, asset))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return asset

    def _insert(self, db: sqlite3.Connection, line: LineName, asset: Asset) -> None:
        self._quota.check(db, line, asset.size_bytes)
        _insert(db, line, asset)

    async def list(self, line: LineName) -> list[Asset]:
        """Return a line's assets, oldest first."""
        query = f"SELECT {_COLUMNS} FROM assets WHERE line = ? ORDER BY created_at, asset_id"  # noqa: S608
        rows = await self._database.run(lambda db: db.execute(query, (line,)).fetchall())
        return [Asset(*row) for row in rows]

    async def find(self, line: LineName, asset_id: str) -> Sound:
        """Return an asset to play.

        Raises:
            NotFound: The line has no such asset.
        """
        query = "SELECT asset_id FROM assets WHERE line = ? AND asset_id = ?"
        row = await self._database.run(lambda db: db.execute(query, (line, asset_id)).fetchone())
        if row is None:
            raise NotFound("audio asset not found", field="assetId")
        return Sound(self._folder / row[0])

    async def delete(self, line: LineName, asset_id: str) -> None:
        """Delete an asset; current playbacks continue unless they are paused or repeat it.

        Raises:
            NotFound: The line has no such asset.
        """
        sound = await self.find(line, asset_id)
        statement = "DELETE FROM assets WHERE line = ? AND asset_id = ?"
        await self._database.run(lambda db: db.execute(statement, (line, asset_id)).rowcount)
        sound.path.unlink(missing_ok=True)


async def _write(path: Path, pieces: AsyncIterator[bytes]) -> int:
    size = 0
    with path.open("wb") as file:
        async for piece in pieces:
            size += len(piece)
            if size > MAX_BYTES:
                raise PayloadTooLarge("an audio asset may have at most 32 MB")
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
