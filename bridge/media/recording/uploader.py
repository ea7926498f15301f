"""Processing of finished recordings: format copies, upload to object storage, expiry.

All pending work is in the database and survives a killed process. When object storage fails, the
upload is retried with exponential backoff; meanwhile the files stay on disk.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from weakref import WeakValueDictionary

from bridge.backoff import Backoff
from bridge.call.recording import Recording
from bridge.errors import DatabaseLost, StoreFailed
from bridge.http.object_store import Bucket
from bridge.media.disk_space import DiskSpace
from bridge.media.recording.archive import Archive
from bridge.media.recording.copies import RecordingCopies
from bridge.metrics.recording import RecordingMetrics
from bridge.stores.recording_files import File, FileLocation
from bridge.tasks import wait_set

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between runs of the periodic work, and between retries."""

    sweep: float = 600.0
    metrics: float = 10.0
    poll: float = 60.0
    """For work left by other nodes."""
    backoff: Backoff = Backoff(1.0, 300.0)


class RecordingUploader:
    """Processes one node's finished recordings."""

    def __init__(
        self,
        archive: Archive,
        *,
        store: Bucket | None,
        space: DiskSpace,
        counters: RecordingMetrics,
        on_file: Callable[[File, Recording], None] = lambda file, recording: None,
        intervals: Intervals = Intervals(),
    ) -> None:
        """Create an uploader; without `store`, files stay in the folder.

        `on_file` is called with each file that becomes available, locally or in object storage.
        """
        self._archive = archive
        self._files = archive.files
        self._store = store
        self._space = space
        self._counters = counters
        self._on_file = on_file
        self._intervals = intervals
        self.copies = RecordingCopies(
            archive,
            store=lambda: self.store,
            record_location=self._set_location,
            count=counters.copy,
        )
        """Copies and mixes."""
        self._uploads: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By key, so that no file is uploaded twice at once."""
        self._copies_due = asyncio.Event()
        self._uploads_due = asyncio.Event()

    def wake(self) -> None:
        """Check for work now: a recording has ended or was deleted."""
        self._copies_due.set()
        self._uploads_due.set()

    async def run(self) -> None:
        """Process recordings until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._restarting(self._sweep), name="recordings sweep")
            group.create_task(self._restarting(self._update_metrics), name="recordings figures")
            group.create_task(self._restarting(self._copy), name="recordings copies")
            if self._store is not None:
                upload = partial(self._upload, self._store)
                group.create_task(self._restarting(upload), name="recordings upload")

    async def _restarting(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run endless work, restarting it after failures."""
        while True:
            try:
                await work()
            except DatabaseLost:
                await self._archive.available()
                await asyncio.sleep(self._intervals.backoff.first)
            except Exception:  # must not end this work, nor the other
                log.exception("recording.processing_failed")
                await asyncio.sleep(self._intervals.poll)

    @property
    def store(self) -> Bucket:
        """Object storage.

        Raises:
            StoreFailed: It is not configured.
        """
        if self._store is None:
            raise StoreFailed(
                "the file is in object storage, which is no longer configured", reason="other"
            )
        return self._store

    async def upload_now(self, recording: Recording, *, seconds: float) -> bool:
        """Upload a recording's file now, ahead of all others; a mix is made before.

        Returns:
            Whether it is at its final location within `seconds`: object storage, or the folder if
            there is none or a caller chose the path. If not, it is retried later.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._upload_own(recording)
        except DatabaseLost:
            # The file is there, and its row waits on the local disk.
            return self._store is None
        except TimeoutError:
            self._counters.upload("timeout")
        except StoreFailed as error:
            self._counters.upload(error.reason)
        return False

    async def _upload_own(self, recording: Recording) -> bool:
        own = await self.copies.on_demand(recording, recording.file_format)
        if own is None or self._store is None or own.place != FileLocation.LOCAL:
            return own is not None
        return await self._put(self._store, own)

    async def _sweep(self) -> None:
        while True:
            if await self._archive.sweep():
                self.wake()
            await asyncio.to_thread(self.copies.sweep)
            await asyncio.sleep(self._intervals.sweep)

    async def _update_metrics(self) -> None:
        while True:
            self._counters.set_free_bytes(self._space.free_bytes())
            if self._store is not None:
                backlog = await self._files.backlog()
                self._counters.set_spool(
                    files=backlog.files,
                    size_bytes=backlog.size_bytes,
                    oldest_seconds=_age(backlog.oldest),
                    deletions=backlog.deletions,
                )
            await asyncio.sleep(self._intervals.metrics)

    async def _copy(self) -> None:
        while True:
            self._copies_due.clear()
            while file := await self._files.next(FileLocation.WANTED):
                await self.copies.make(file)
            await wait_set(self._copies_due, self._intervals.poll)

    async def _upload(self, store: Bucket) -> None:
        failures = 0
        while True:
            self._uploads_due.clear()
            try:
                while await self._delete_next(store) or await self._upload_next(store):
                    failures = 0
            except StoreFailed as error:
                self._counters.upload(error.reason)
                log.warning("recording.store_failed", extra={"reason": error.reason})
                failures += 1
                await asyncio.sleep(self._intervals.backoff.after(failures))
            else:
                await wait_set(self._uploads_due, self._intervals.poll)

    async def _upload_next(self, store: Bucket) -> bool:
        """Upload one file; return False if there is none."""
        file = await self._files.next(FileLocation.LOCAL)
        if file is None:
            return False
        await self._put(store, file)
        return True

    async def _put(self, store: Bucket, file: File) -> bool:
        """Upload a file unless that has been done; return False if it is lost.

        The local file is kept while a copy remains to be made of it.
        """
        lock = self._uploads.setdefault(file.key, asyncio.Lock())
        async with lock:
            if not await self._files.is_at(FileLocation.LOCAL, file.recording_id, file.format):
                return True
            path = self._archive.folder / file.key
            try:
                await store.put(file.key, path, file.content_type)
            except OSError:
                log.error("recording.file_lost", extra={"recording": file.recording_id})
                await self._set_location(file, FileLocation.LOST, 0)
                return False
            except StoreFailed:
                await self._files.failed(file)
                raise
            self._counters.upload("stored")
            if not await self._files.waiting(file.recording_id):
                await self._set_location(file, FileLocation.STORE, file.size_bytes)
                path.unlink(missing_ok=True)
        return True

    async def _set_location(self, file: File, place: FileLocation, size: int) -> bool:
        """Update a file's location; return False if it has been deleted meanwhile."""
        if not await self._files.move(file, place, size):
            return False
        log.debug(
            "recording.file_moved",
            extra={"recording": file.recording_id, "format": file.format, "place": place},
        )
        if place is FileLocation.LOST and file.place == FileLocation.WANTED:
            log.warning("recording.copy_failed", extra={"recording": file.recording_id})
        recording = await self._archive.find(file.recording_id)
        if place is not FileLocation.LOST or file.key == recording.key:
            self._on_file(replace(file, place=place, size_bytes=size), recording)
        self._uploads_due.set()
        return True

    async def _delete_next(self, store: Bucket) -> bool:
        """Delete one object, or a recording's parts; return False if there is nothing to delete."""
        key = await self._files.next_deletion()
        if key is None:
            return False
        try:
            await (store.delete_all(key) if key.endswith("/") else store.delete(key))
        except StoreFailed:
            await self._files.deleted(key, done=False)
            raise
        await self._files.deleted(key, done=True)
        return True


def _age(since: str | None) -> float:
    if since is None:
        return 0.0
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
