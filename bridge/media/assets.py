"""Audio assets: files that a line uploads once and plays repeatedly."""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.call.model import LineName
from bridge.db.database import Connection, Database, marks
from bridge.errors import (
    DatabaseFailed,
    DatabaseLost,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PayloadTooLarge,
    StoreFailed,
)
from bridge.http.object_store import Bucket
from bridge.media.asset_cache import TYPE, AssetCache, KeptFile, store_key
from bridge.media.decoding.decoders import Decoders
from bridge.media.sounds import MAX_BYTES, Sound
from bridge.stores import recording_files as files
from bridge.stores.share import Share, only
from bridge.tasks import wait_set
from bridge.wire.iso8601 import iso8601

log = logging.getLogger(__name__)

UPLOAD_SECONDS: Final = 60.0
"""Between looks for assets that are not in object storage."""
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

    def check(self, db: Connection, line: LineName, octets: int) -> None:
        """Raise `LimitExceeded` if a line may add no more assets."""
        query = (
            "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) "
            "FROM assets WHERE line = ?"
        )
        count, size = db.execute(query, (line,)).fetchone()
        if count >= self.count:
            raise LimitExceeded("the line has reached its limit of assets (limits.assets_per_line)")
        if size + octets > self.octets:
            raise LimitExceeded(
                "the line's assets have reached their limit of disk space (limits.assets_mb_per_line)"
            )


class Assets:
    """The assets of all lines."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        decoders: Decoders,
        quota: AssetQuota,
        *,
        cache: AssetCache | None = None,
        share: Share | None = None,
    ) -> None:
        """Open the folder; `cache` fetches the assets of other machines, None if there are none."""
        self._quota = quota
        self._cache = cache
        self._share = share or only()
        self._uploads_due = asyncio.Event()
        self._database = database
        self._folder = folder
        self._decoders = decoders
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

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
        await self._database.run(self._quota.check, line, 0)
        asset_id = f"asset_{secrets.token_hex(12)}"
        path = self._folder / asset_id
        try:
            size, digest = await _write(path, pieces)
            decoding = await self._decoders.open(path, line)
            await decoding.aclose()
            created = iso8601(datetime.now(UTC))
            asset = Asset(asset_id, filename, content_type, size, decoding.duration, created)
            # Other assets may have been added meanwhile.
            await self._database.run(self._insert, line, asset, digest)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._uploads_due.set()
        return asset

    def _insert(self, db: Connection, line: LineName, asset: Asset, digest: str) -> None:
        self._quota.check(db, line, asset.size_bytes)
        row = (*astuple(asset), line, self._share.machine, digest)
        statement = f"INSERT INTO assets ({_COLUMNS}, line, machine, digest) VALUES {marks(row)}"  # noqa: S608
        db.execute(statement, row)

    async def list(self, line: LineName) -> list[Asset]:
        """Return a line's assets, oldest first."""
        query = f"SELECT {_COLUMNS} FROM assets WHERE line = ? ORDER BY created_at, asset_id"  # noqa: S608
        rows = await self._database.read(lambda db: db.execute(query, (line,)).fetchall())
        return [Asset(*row) for row in rows]

    async def find(self, line: LineName, asset_id: str) -> Sound:
        """Return an asset to play; the file of another machine is fetched if it was not before.

        Raises:
            NotFound: The line has no such asset.
            FileUnavailable: Its machine is gone, and it is nowhere else.
        """
        file = await self._file("line = ? AND asset_id = ?", line, asset_id)
        return Sound(await self._path(file))

    async def path_here(self, asset_id: str) -> Path:
        """Return the file of an asset of any line, if it is on this machine.

        Raises:
            NotFound: it is not.
        """
        file = await self._file("asset_id = ?", asset_id)
        path = self._folder / file.asset_id
        if not self._is_here(file) or not path.is_file():
            raise NotFound("this machine has no such file")
        return path

    async def delete(self, line: LineName, asset_id: str) -> None:
        """Delete an asset; current playbacks continue unless they are paused or repeat it.

        Another machine that has the file, or a copy, deletes it later.

        Raises:
            NotFound: The line has no such asset.
        """
        file = await self._file("line = ? AND asset_id = ?", line, asset_id)
        here, stored = self._is_here(file), self._cache is not None and self._cache.store

        def work(db: Connection) -> None:
            db.execute("DELETE FROM assets WHERE line = ? AND asset_id = ?", (line, asset_id))
            if not here:
                files.queue_unlinks(db, [(file.machine, f"{self._folder.name}/{asset_id}")])
            if stored or file.stored:
                files.queue_deletions(db, [store_key(asset_id)])

        await self._database.run(work)
        if here:
            (self._folder / asset_id).unlink(missing_ok=True)
        elif self._cache is not None:
            self._cache.forget(file)

    async def run(self) -> None:
        """Copy this machine's assets to object storage, if there is one, until cancelled."""
        while self._cache is not None and self._cache.store is not None:
            self._uploads_due.clear()
            try:
                await self._upload(self._cache.store)
            except DatabaseLost:
                await self._database.available()
            except StoreFailed as error:
                log.warning("asset.upload_failed", extra={"reason": error.reason})
            except DatabaseFailed:
                log.exception("asset.upload_failed")
            await wait_set(self._uploads_due, UPLOAD_SECONDS)

    async def _upload(self, store: Bucket) -> None:
        waiting = "SELECT asset_id FROM assets WHERE stored = 0 AND machine = ?"
        machine = self._share.machine
        rows = await self._database.read(lambda db: db.execute(waiting, (machine,)).fetchall())
        for (asset_id,) in rows:
            try:
                await store.put(store_key(asset_id), self._folder / asset_id, TYPE)
            except OSError:
                continue  # deleted, or lost
            if not await self._database.run(_note_stored, asset_id):
                await self._database.run(files.queue_deletions, [store_key(asset_id)])

    async def _path(self, file: KeptFile) -> Path:
        path = self._folder / file.asset_id
        fetched = not self._is_here(file) or (file.stored and not path.is_file())
        return await self._cache.path(file) if self._cache is not None and fetched else path

    def _is_here(self, file: KeptFile) -> bool:
        return file.machine in ("", self._share.machine)

    async def _file(self, where: str, *values: str) -> KeptFile:
        query = f"SELECT asset_id, machine, digest, size_bytes, stored FROM assets WHERE {where}"  # noqa: S608
        row = await self._database.read(lambda db: db.execute(query, values).fetchone())
        if row is None:
            raise NotFound("audio asset not found", field="assetId")
        asset_id, machine, digest, size, stored = row
        return KeptFile(asset_id, machine, digest, size, stored=bool(stored))


def _note_stored(db: Connection, asset_id: str) -> bool:
    """Record that an asset is in object storage; return False if it was deleted meanwhile."""
    statement = "UPDATE assets SET stored = 1 WHERE asset_id = ?"
    return bool(db.execute(statement, (asset_id,)).rowcount)


async def _write(path: Path, pieces: AsyncIterator[bytes]) -> tuple[int, str]:
    """Write a file; return its size and SHA-256."""
    size, digest = 0, hashlib.sha256()
    with path.open("wb") as file:
        async for piece in pieces:
            size += len(piece)
            if size > MAX_BYTES:
                raise PayloadTooLarge("an audio asset may have at most 32 MB")
            digest.update(piece)
            file.write(piece)
    if not size:
        raise InvalidRequest("audio: the file is empty", field="audio")
    return size, digest.hexdigest()
