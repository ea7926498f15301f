"""Makes copies of recordings in other formats, and mixes of packets, in child processes.

Copies that are wanted when a recording ends are rows of the database, and made one after the other. The WAV
of a recording of packets is made when it is first requested, and kept like any copy from then on.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.audio.file.formats import WAV
from bridge.audio.frame import SAMPLE_RATE
from bridge.call.recording import CONVERTING, Recording
from bridge.errors import NotFound
from bridge.http.object_store import Bucket
from bridge.media.decoding.sandboxed import encode_copy
from bridge.media.machine_files import node_path
from bridge.media.recording.archive import Archive
from bridge.stores.recording_files import File, FileLocation
from bridge.tasks import Tasks

LEFT_SECONDS: Final = 86_400.0
"""After which a file in `CONVERTING` was left by a killed process."""
AT_ONCE: Final = 2
"""Child processes for requests."""
POLL_SECONDS: Final = 0.05
"""Between two attempts to lock what another process of this machine has locked."""


class RecordingCopies:
    """The copies of the recordings of one process."""

    def __init__(
        self,
        archive: Archive,
        *,
        store: Callable[[], Bucket],
        record_location: Callable[[File, FileLocation, int], Awaitable[bool]],
        count: Callable[[str], None],
    ) -> None:
        """`store` returns object storage, or raises `StoreFailed`; `count` is called with each copy's outcome.

        `record_location` records where a file is, and returns False if its recording has been deleted.
        """
        self._archive = archive
        self._store = store
        self._record_location = record_location
        self._count = count
        self._requests = asyncio.Semaphore(AT_ONCE)
        self._tasks = Tasks()

    async def aclose(self) -> None:
        """Stop what is being made on demand."""
        await self._tasks.aclose()

    async def make(self, file: File) -> None:
        """Make a copy or mix that is wanted, unless that has been done meanwhile."""
        async with self._alone(file.recording_id, file.format):
            wanted = FileLocation.WANTED
            if not await self._archive.files.is_at(wanted, file.recording_id, file.format):
                return
            try:
                recording = await self._archive.find(file.recording_id)
                size = await self._convert(recording, file)
            except NotFound:
                size, recording = 0, None
            self._count("made" if size else "failed")
            place = FileLocation.LOCAL if size else FileLocation.LOST
            target = self._archive.folder / file.key
            if not await self._record_location(file, place, size):
                target.unlink(missing_ok=True)  # deleted meanwhile
            if size and recording is not None and file.key == recording.key:
                for key in recording.mixed_from:
                    (self._archive.folder / key).unlink(missing_ok=True)

    async def on_demand(self, recording: Recording, file_format: str) -> File | None:
        """Return a recording's file of a format, made now if need be; None if there is nothing to make it of.

        The work goes on if the request is cancelled, so that a later one finds it done.
        """
        if found := await self._archive.files.find(recording.recording_id, file_format):
            return found
        if recording.status == "recording" or file_format not in (WAV, recording.file_format):
            return None
        made: asyncio.Future[File | None] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                async with self._requests:
                    found = await self._on_demand(recording, file_format)
            except BaseException as error:
                if not made.done():
                    made.set_exception(error)
                    made.exception()  # retrieved: nobody may be waiting for it
                if not isinstance(error, Exception):
                    raise
            else:
                if not made.done():
                    made.set_result(found)

        self._tasks.spawn(work(), name=f"{file_format} of {recording.recording_id}")
        return await asyncio.shield(made)

    @contextlib.asynccontextmanager
    async def temporary_wav(self, recording: Recording) -> AsyncIterator[Path]:
        """Convert a recording of packets for one reader.

        Raises:
            NotFound: it has no file any more.
            FileUnavailable: the machine that has it is gone.
            StoreFailed: the store that has it failed.
        """
        target = self._temporary(recording, WAV)
        try:
            async with self._own(recording) as source:
                if not await encode_copy(source, target, samples=_samples(recording)):
                    raise NotFound("the recording's file cannot be read")
            yield target
        finally:
            target.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what killed processes have left behind."""
        folder = self._archive.folder / CONVERTING
        for path in folder.glob("*") if folder.is_dir() else ():
            if path.stat().st_mtime < datetime.now(UTC).timestamp() - LEFT_SECONDS:
                path.unlink(missing_ok=True)

    async def _on_demand(self, recording: Recording, file_format: str) -> File | None:
        waiting = await self._make_own(recording)
        async with self._alone(recording.recording_id, file_format):
            files = await self._archive.files.of(recording.recording_id)
            if found := next((file for file in files if file.format == file_format), None):
                return found  # made meanwhile
            own = next((file for file in (*files, *waiting) if file.key == recording.key), None)
            if own is None:
                return None
            if own.place != FileLocation.STORE and not self._archive.is_here(own.machine):
                return replace(own, format=file_format)  # that machine makes it
            return await self._make_wav(recording, own) if file_format == WAV else None

    async def _make_own(self, recording: Recording) -> list[File]:
        """Make a recording's file, if that is a mix that waits here; return the files that waited."""
        waiting = await self._archive.files.waiting(recording.recording_id)
        for file in waiting:
            if file.key == recording.key and self._archive.is_here(file.machine):
                await self.make(file)
        return waiting

    async def _make_wav(self, recording: Recording, own: File) -> File | None:
        key, machine = recording.key_as(WAV), self._archive.share.machine
        file = replace(own, format=WAV, key=key, place=FileLocation.LOCAL, machine=machine)
        size = await self._convert(recording, file)
        self._count("made" if size else "failed")
        file = replace(file, size_bytes=size)
        if size and await self._archive.files.insert(file):
            return file
        (self._archive.folder / key).unlink(missing_ok=True)
        return None

    async def _convert(self, recording: Recording, file: File) -> int:
        """Make a file; return its size, 0 on failure."""
        target = self._archive.folder / file.key
        await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        if file.key == recording.key:
            first, second = (self._archive.folder / key for key in recording.mixed_from)
            return await encode_copy(first, target, mixed_with=second, samples=_samples(recording))
        async with self._own(recording) as source:
            samples = 0 if recording.file_format == WAV else _samples(recording)
            return await encode_copy(source, target, samples=samples)

    @contextlib.asynccontextmanager
    async def _own(self, recording: Recording) -> AsyncIterator[Path]:
        """Yield a recording's file on this machine, fetched if it is elsewhere."""
        await self._make_own(recording)
        path = self._archive.path(recording)
        if path.is_file():
            yield path
            return
        own = await self._archive.files.find(recording.recording_id, recording.file_format)
        if own is None:
            raise NotFound("the recording's file no longer exists")
        fetched = self._temporary(recording, recording.file_format)
        try:
            await self._fetch(own, fetched)
            yield fetched
        finally:
            fetched.unlink(missing_ok=True)

    async def _fetch(self, own: File, target: Path) -> None:
        if own.place == FileLocation.STORE:
            pieces = self._store().read(own.key, 0, own.size_bytes)
        elif self._archive.is_here(own.machine):
            raise NotFound("the recording's file no longer exists")
        else:
            path = node_path(own.recording_id, own.format)
            pieces = self._archive.elsewhere.read(own.machine, path)
        with target.open("xb") as file:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)

    def _alone(
        self, recording_id: str, file_format: str
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Keep the other tasks and nodes of this machine from making the same file."""
        return locked(self._folder() / f"{recording_id}.{file_format}.lock")

    def _temporary(self, recording: Recording, file_format: str) -> Path:
        return self._folder() / f"{recording.recording_id}.{secrets.token_hex(4)}.{file_format}"

    def _folder(self) -> Path:
        folder = self._archive.folder / CONVERTING
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


@contextlib.asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock that nobody else on this machine holds; waits for it, and ends with the process.

    The file exists as long as somebody holds or waits for the lock; its folder must exist.
    """
    while (descriptor := _acquire(path)) is None:  # noqa: ASYNC110  (held by another process)
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # noqa: ASYNC240  (takes no time)
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Return the descriptor of the locked file; None while another one has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have deleted it since it was opened: a lock on that file locks nothing.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _samples(recording: Recording) -> int:
    return round(recording.seconds * SAMPLE_RATE)
