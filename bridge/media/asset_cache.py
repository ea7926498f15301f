"""Copies of sounds that other machines have, fetched once and shared by the processes of this one."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from bridge.errors import FileUnavailable, NotFound, StoreFailed
from bridge.http.object_store import Bucket
from bridge.media.machine_files import MachineFiles

MAX_BYTES: Final = 512 * 1024 * 1024
"""Of all copies; those that were not played for longest are deleted."""
FETCH_SECONDS: Final = 15.0
TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """Where the file of an asset is."""

    asset_id: str
    machine: str
    digest: str
    """SHA-256 in hexadecimal digits; empty if an earlier version stored it."""
    size_bytes: int
    stored: bool
    """Whether it is in object storage, too."""


class AssetCache:
    """The copies in one folder."""

    def __init__(
        self,
        folder: Path,
        elsewhere: MachineFiles,
        *,
        store: Bucket | None = None,
        count: Callable[[str], None] = lambda _: None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Open the folder; `count` is told where each sound came from (`metrics.recording.ASSET_SOURCES`)."""
        self._folder = folder
        self._elsewhere = elsewhere
        self.store = store
        self._count = count
        self._max_bytes = max_bytes
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def path(self, file: KeptFile) -> Path:
        """Return a copy of an asset's file, fetched from its machine, else from object storage.

        Raises:
            NotFound: neither has it any more.
            FileUnavailable: it cannot be had now.
        """
        path = self._path(file)
        lock = self._fetching.setdefault(path.name, asyncio.Lock())
        async with lock:
            try:
                os.utime(path)
                self._count("cached")
            except FileNotFoundError:
                await self._fetch(file, path)
                await asyncio.to_thread(self._trim, path)
        return path

    def forget(self, file: KeptFile) -> None:
        """Delete the copy of an asset that was deleted."""
        self._path(file).unlink(missing_ok=True)

    def _path(self, file: KeptFile) -> Path:
        return self._folder / (file.digest or file.asset_id)

    async def _fetch(self, file: KeptFile, path: Path) -> None:
        try:
            await self._copy(self._elsewhere.read(file.machine, node_path(file)), file, path)
            self._count("machine")
        except (FileUnavailable, NotFound):
            if self.store is None or not file.stored:
                self._count("failed")
                raise
            pieces = self.store.read(store_key(file.asset_id), 0, file.size_bytes)
            try:
                await self._copy(pieces, file, path)
            except StoreFailed as error:
                self._count("failed")
                raise FileUnavailable(
                    "the audio asset is unavailable: its machine does not answer, and object storage does not have it"
                ) from error
            self._count("store")

    async def _copy(self, pieces: AsyncIterator[bytes], file: KeptFile, path: Path) -> None:
        """Write a file that is complete, or none."""
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        digest, size = hashlib.sha256(), 0
        try:
            with fresh.open("xb") as output:
                async with asyncio.timeout(FETCH_SECONDS):
                    async for piece in pieces:
                        digest.update(piece)
                        size += output.write(piece)
            if size != file.size_bytes or file.digest not in ("", digest.hexdigest()):
                raise FileUnavailable("the audio asset was damaged in transit")
            fresh.rename(path)
        except TimeoutError:
            raise FileUnavailable("fetching the audio asset timed out") from None
        finally:
            fresh.unlink(missing_ok=True)

    def _trim(self, kept: Path) -> None:
        """Delete the copies that were not played for longest, until the rest fits."""
        found = []
        for one in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another fetch has renamed it, or deleted it
                found.append((one, one.stat()))
        left = sum(stat.st_size for _, stat in found)
        for path, stat in sorted(found, key=lambda one: one[1].st_mtime):
            if left <= self._max_bytes:
                break
            if path != kept:
                path.unlink(missing_ok=True)
                left -= stat.st_size


def node_path(file: KeptFile) -> str:
    """Return the path of an asset's file for `MachineFiles`."""
    return f"/assets/{file.asset_id}"


def store_key(asset_id: str) -> str:
    """Return the key of an asset's object; below the only prefix that the bridge uses."""
    return f"recordings/assets/{asset_id}"
