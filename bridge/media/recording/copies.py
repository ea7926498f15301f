"""Makes copies of recordings in other formats, and mixes of packets, in child processes.

Copies that are wanted when a recording ends are rows of the database, and made one after the other. The WAV
of a recording of packets is made when it is first requested, and kept like any copy from then on.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.audio.frame import SAMPLE_RATE
from bridge.errors import NotFound
from bridge.http.object_store import Bucket
from bridge.media.decoding.sandboxed import encode_copy
from bridge.media.file_lock import locked
from bridge.media.machine_files import node_path
from bridge.media.recording.archive import Archive
from bridge.media.recording.files import PREFIX, WAV, File, FileLocation
from bridge.media.recording.rows import Recording
from bridge.tasks import Tasks

FOLDER: Final = f"{PREFIX}converting"
"""For files that are needed only while another is made of them."""
LEFT_SECONDS: Final = 86_400.0
"""After which a file there was left by a killed process."""
AT_ONCE: Final = 2
"""Child processes for requests."""


class RecordingCopies:
    """The copies of the recordings of one process."""

    def __init__(
        self,
        archive: Archive,
        *,
        store: Callable[[], Bucket],
        settle: Callable[[File, FileLocation, int], Awaitable[bool]],
        count: Callable[[str], None],
    ) -> None:
        """Make it.

        `store` returns object storage, or raises StoreFailed; `settle` records where a file is, and returns False
        if its recording has been deleted; `count` is told of each copy's outcome.
        """
        self._archive = archive
        self._store = store
        self._settle = settle
        self._count = count
        self._requests = asyncio.Semaphore(AT_ONCE)
        self._tasks = Tasks()

    async def aclose(self) -> None:
        """Stop what is being made on demand."""
        await self._tasks.aclose()

    async def make(self, file: File) -> None:
        """Make a copy or mix that is wanted, unless that has been done meanwhile."""
        async with self._alone(file.recording_id, file.format):
            if file.format not in await self._archive.files.wanted(file.recording_id):
                return
            try:
                recording = await self._archive.find(file.recording_id)
                size = await self._convert(recording, file)
            except NotFound:
                size, recording = 0, None
            self._count("made" if size else "failed")
            place = FileLocation.LOCAL if size else FileLocation.LOST
            target = self._archive.folder / file.key
            if not await self._settle(file, place, size):
                target.unlink(missing_ok=True)  # deleted meanwhile
            if size and recording is not None and file.key == recording.key:
                for key in recording.mixed_from:
                    (self._archive.folder / key).unlink(missing_ok=True)

    async def on_demand(self, recording: Recording, form: str) -> File | None:
        """Return a file that is made now; None if there is nothing to make it of.

        The work goes on if the request is cancelled, so that a later one finds it done.
        """
        if recording.status == "recording" or form not in (WAV, recording.file_format):
            return None
        made: asyncio.Future[File | None] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                async with self._requests:
                    found = await self._on_demand(recording, form)
            except BaseException as error:
                if not made.done():
                    made.set_exception(error)
                    made.exception()  # retrieved: nobody may be waiting for it
                if not isinstance(error, Exception):
                    raise
            else:
                if not made.done():
                    made.set_result(found)

        self._tasks.spawn(work(), name=f"{form} of {recording.recording_id}")
        return await asyncio.shield(made)

    @asynccontextmanager
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
        folder = self._archive.folder / FOLDER
        for path in folder.glob("*") if folder.is_dir() else ():
            if path.stat().st_mtime < datetime.now(UTC).timestamp() - LEFT_SECONDS:
                path.unlink(missing_ok=True)

    async def _on_demand(self, recording: Recording, form: str) -> File | None:
        waiting = await self._archive.files.waiting(recording.recording_id)
        for file in waiting:
            if file.key == recording.key and self._archive.is_here(file.machine):
                await self.make(file)
        async with self._alone(recording.recording_id, form):
            files = await self._archive.files.of(recording.recording_id)
            if found := next((file for file in files if file.format == form), None):
                return found
            own = next((file for file in (*files, *waiting) if file.key == recording.key), None)
            if own is None:
                return None
            if own.place != FileLocation.STORE and not self._archive.is_here(own.machine):
                return replace(own, format=form)  # that machine makes it
            return await self._make_wav(recording, own) if form == WAV else None

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

    @asynccontextmanager
    async def _own(self, recording: Recording) -> AsyncIterator[Path]:
        """Yield a recording's file on this machine, fetched if it is elsewhere."""
        for waiting in await self._archive.files.waiting(recording.recording_id):
            if waiting.key == recording.key and self._archive.is_here(waiting.machine):
                await self.make(waiting)
        path = self._archive.path(recording)
        if path.is_file():
            yield path
            return
        files = await self._archive.files.of(recording.recording_id)
        own = next((file for file in files if file.key == recording.key), None)
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

    def _alone(self, recording_id: str, form: str) -> AbstractAsyncContextManager[None]:
        """Keep the other tasks and nodes of this machine from making the same file."""
        return locked(self._folder() / f"{recording_id}.{form}.lock")

    def _temporary(self, recording: Recording, form: str) -> Path:
        return self._folder() / f"{recording.recording_id}.{secrets.token_hex(4)}.{form}"

    def _folder(self) -> Path:
        folder = self._archive.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


def _samples(recording: Recording) -> int:
    return round(recording.seconds * SAMPLE_RATE)
