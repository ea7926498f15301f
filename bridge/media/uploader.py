"""What is done with recordings that have ended: copied, moved up to the store, deleted in time.

Everything that is to be done is a row, so that nothing is forgotten when the process is killed. A
store that fails is tried again, less and less often; meanwhile the files wait on the disk.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol
from weakref import WeakValueDictionary

from bridge.errors import DatabaseFailed, StoreFailed
from bridge.media.archive import Archive, Recording
from bridge.media.disk_space import DiskSpace
from bridge.media.encoder import encode_copy
from bridge.media.files import CONTENT_TYPES, WAV, File, FileLocation
from bridge.net.storage import Store

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 600.0
FIGURES_SECONDS: Final = 10.0
FIRST_PAUSE: Final = 1.0
MAX_PAUSE: Final = 300.0
"""Between two tries at a store that fails; each pause is twice as long as the one before."""
LOOK_SECONDS: Final = 60.0
"""How often is looked for what another node left to do."""


class UploadCounters(Protocol):
    """Counts uploads and copies; `metrics.recording.RecordingMetrics` is one."""

    def upload(self, outcome: str) -> None:
        """Count a try to move a file up, or to delete one there."""
        ...

    def copy(self, outcome: str) -> None:
        """Count a copy."""
        ...

    def set_spool(
        self, *, files: int, size_bytes: int, oldest_seconds: float, deletions: int
    ) -> None:
        """Set what waits for the store."""
        ...

    def set_free_bytes(self, free: int) -> None:
        """Set what the disk with the recordings has left."""
        ...


class RecordingUploader:
    """Looks after one node's recordings once they have ended."""

    def __init__(
        self,
        archive: Archive,
        *,
        store: Store | None,
        room: DiskSpace,
        counters: UploadCounters,
        on_file: Callable[[File, Recording], None] = lambda file, recording: None,
    ) -> None:
        """Make it.

        Args:
            archive: the recordings.
            store: where files are moved up to; None = they stay in the folder.
            room: what the disk has left.
            counters: count uploads and copies.
            on_file: told of each file that can be had from now on, in the folder or in the store.
        """
        self._archive = archive
        self._files = archive.files
        self._store = store
        self._room = room
        self._counters = counters
        self._on_file = on_file
        self._uploads: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By key, so that no file is moved up twice at a time."""
        self._copies = asyncio.Event()
        self._moves = asyncio.Event()

    def wake(self) -> None:
        """Look at once for what is to be done: a recording has ended, or was deleted."""
        self._copies.set()
        self._moves.set()

    async def run(self) -> None:
        """Do what is to be done, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_always(self._sweep), name="recordings sweep")
            group.create_task(_always(self._measure), name="recordings figures")
            group.create_task(_always(self._copy), name="recordings copies")
            if self._store is not None:
                move = partial(self._move, self._store)
                group.create_task(_always(move), name="recordings upload")

    def read(self, file: File, start: int, end: int) -> AsyncIterator[bytes]:
        """Give a part of a file that lies in the store.

        Raises:
            NotFound, StoreFailed: it cannot be had.
        """
        return self._reachable().read(file.key, start, end)

    async def link(self, file: File, seconds: float) -> str:
        """Give a URL of the store's that anyone may read a file by for a while.

        Raises:
            StoreFailed: there is none.
        """
        return await self._reachable().link(file.key, seconds)

    async def stored(self, recording_id: str, *, seconds: float) -> bool:
        """Move a recording's WAV up at once, before all others.

        Returns:
            Whether it lies where it belongs: in the store within that time, or in the folder where
            there is no store or a caller chose its path. One that does not is tried again later.
        """
        files = await self._files.of(recording_id)
        wav = next((file for file in files if file.format == WAV), None)
        if wav is None or self._store is None or wav.place != FileLocation.LOCAL:
            return wav is not None
        try:
            async with asyncio.timeout(seconds):
                return await self._put(self._store, wav)
        except TimeoutError:
            self._counters.upload("timeout")
        except StoreFailed as error:
            self._counters.upload(error.reason)
        return False

    def _reachable(self) -> Store:
        if self._store is None:
            raise StoreFailed("the file lies in a store that is set no more", reason="other")
        return self._store

    async def _sweep(self) -> None:
        while True:
            if await self._archive.sweep():
                self.wake()
            await asyncio.sleep(SWEEP_SECONDS)

    async def _measure(self) -> None:
        while True:
            self._counters.set_free_bytes(self._room.free_bytes())
            if self._store is not None:
                backlog = await self._files.backlog()
                self._counters.set_spool(
                    files=backlog.files,
                    size_bytes=backlog.size_bytes,
                    oldest_seconds=_age(backlog.oldest),
                    deletions=backlog.deletions,
                )
            await asyncio.sleep(FIGURES_SECONDS)

    async def _copy(self) -> None:
        while True:
            self._copies.clear()
            while file := await self._files.next(FileLocation.WANTED):
                await self._make(file)
            await _wait(self._copies, LOOK_SECONDS)

    async def _make(self, file: File) -> None:
        """Make a copy; the WAV it is made of is not moved up before."""
        target = self._archive.folder / file.key
        size = await encode_copy(target.with_suffix(".wav"), target)
        self._counters.copy("made" if size else "failed")
        if not size:
            log.warning("recording.copy_failed", extra={"recording": file.recording_id})
        if not await self._moved(file, FileLocation.LOCAL if size else FileLocation.LOST, size):
            target.unlink(missing_ok=True)  # the recording has been deleted meanwhile
        self._moves.set()

    async def _move(self, store: Store) -> None:
        pause = FIRST_PAUSE
        while True:
            self._moves.clear()
            try:
                while await self._delete_next(store) or await self._move_next(store):
                    pause = FIRST_PAUSE
            except StoreFailed as error:
                self._counters.upload(error.reason)
                log.warning("recording.store_failed", extra={"reason": error.reason})
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
            else:
                await _wait(self._moves, LOOK_SECONDS)

    async def _move_next(self, store: Store) -> bool:
        """Move one file up; False when there is none."""
        file = await self._files.next(FileLocation.LOCAL)
        if file is None:
            return False
        await self._put(store, file)
        return True

    async def _put(self, store: Store, file: File) -> bool:
        """Move a file up unless that is done already; False when it is lost.

        One that a copy is yet to be made of is put into the store, and stays here until then.

        Raises:
            StoreFailed: it could not be.
        """
        lock = self._uploads.setdefault(file.key, asyncio.Lock())
        async with lock:
            if not await self._files.waits(file):
                return True
            path = self._archive.folder / file.key
            try:
                await store.put(file.key, path, CONTENT_TYPES[file.format])
            except OSError:
                log.error("recording.file_lost", extra={"recording": file.recording_id})
                await self._moved(file, FileLocation.LOST, 0)
                return False
            except StoreFailed:
                await self._files.failed(file)
                raise
            self._counters.upload("stored")
            if not await self._files.wanted(file.recording_id):
                await self._moved(file, FileLocation.STORE, file.size_bytes)
                path.unlink(missing_ok=True)
        return True

    async def _moved(self, file: File, place: FileLocation, size: int) -> bool:
        """Write down where a file lies now; False when it has been deleted meanwhile."""
        if not await self._files.move(file, place, size):
            return False
        log.debug(
            "recording.file_moved",
            extra={"recording": file.recording_id, "format": file.format, "place": place},
        )
        if place is not FileLocation.LOST:
            recording = await self._archive.signed(file.recording_id)
            self._on_file(replace(file, place=place, size_bytes=size), recording)
        return True

    async def _delete_next(self, store: Store) -> bool:
        """Delete one object; False when there is none to be deleted."""
        key = await self._files.next_deletion()
        if key is None:
            return False
        try:
            await store.delete(key)
        except StoreFailed:
            await self._files.deleted(key, done=False)
            raise
        await self._files.deleted(key, done=True)
        return True


async def _always(work: Callable[[], Awaitable[None]]) -> None:
    """Do endless work, and begin anew a while after the database or the disk did not let it go on."""
    while True:
        try:
            await work()
        except (DatabaseFailed, OSError):
            log.exception("recording.keeping_failed")
            await asyncio.sleep(LOOK_SECONDS)


def _age(since: str | None) -> float:
    if since is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
