"""Uploads recordings while they go on, in parts of 5 s, for when their machine is lost with its disk.

The local file remains the recording; a part is a piece of it. S3's multipart uploads have parts of 5 MB at
least (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html), so each part is an object of its own.
They are deleted once the whole file is stored.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bridge.audio.file.wav import BYTES_PER_SECOND, HEADER_BYTES, make_header
from bridge.backoff import Backoff
from bridge.call.recording import Written, parts_of
from bridge.errors import StoreFailed
from bridge.http.object_store import Bucket

PART_BYTES: Final = 5 * BYTES_PER_SECOND
"""Five seconds of a track; the parts but the last are equally long."""
MAX_PART: Final = 2**32 // PART_BYTES
"""No WAV is longer, whatever numbers the store names."""
AT_ONCE: Final = 8
MAX_BEHIND: Final = 12
"""Parts of one track that may wait for a store that fails; older ones are skipped: a minute."""
PUT_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 1.0
BACKOFF: Final = Backoff(1.0, 30.0)
"""Seconds between attempts of each worker while the store fails."""


class Track(Protocol):
    """A track that is being recorded; `legs.recording.RecorderLeg` is one."""

    path: Path

    @property
    def written_bytes(self) -> int:
        """Bytes of audio in the file."""


@dataclass(slots=True, eq=False)
class _Followed:
    recording_id: str
    track: Track
    next: int = 0
    """Number of the part that is uploaded next."""
    busy: bool = False
    left: bool = False

    @property
    def behind(self) -> int:
        """How many parts are complete and not uploaded."""
        return self.track.written_bytes // PART_BYTES - self.next


class LiveParts:
    """The parts of the recordings of one process."""

    def __init__(self, store: Bucket | None, *, count: Callable[[str], None]) -> None:
        """Without a `store` nothing is uploaded; `count` is called with each part's outcome (`metrics.recording.PARTS`)."""
        self._store = store
        self._count = count
        self._followed: dict[str, _Followed] = {}

    def follow(self, recording_id: str, track: Track, first: int = 0) -> None:
        """Upload the parts of a track as they are complete, from the `first` on."""
        if self._store is not None:
            self._followed[recording_id] = _Followed(recording_id, track, first)

    def next(self, recording_id: str) -> int:
        """Return which part of a track is uploaded next, or is being uploaded; 0 of one that is not followed."""
        followed = self._followed.get(recording_id)
        return 0 if followed is None else followed.next

    def busy(self, recording_id: str) -> bool:
        """Return whether a part of a track is being uploaded."""
        followed = self._followed.get(recording_id)
        return followed is not None and followed.busy

    def abandon(self, recording_id: str) -> None:
        """Leave the further parts of a track to another process."""
        self._followed.pop(recording_id, None)

    def leave(self, recording_id: str) -> None:
        """Upload no more of a track; a part that is on its way is deleted."""
        if (followed := self._followed.pop(recording_id, None)) is not None:
            followed.left = True

    async def run(self) -> None:
        """Upload until cancelled; return at once without a store."""
        if (store := self._store) is None:
            return
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(self._work(store), name=f"recording parts {number}")

    async def _work(self, store: Bucket) -> None:
        failures = 0
        while True:
            if (followed := self._next()) is None:
                await asyncio.sleep(LOOK_SECONDS)
            elif await self._upload(store, followed):
                failures = 0
            else:
                failures += 1
                await asyncio.sleep(BACKOFF.after(failures))

    def _next(self) -> _Followed | None:
        """Return the track that is furthest behind; what is too old of it is skipped."""
        waiting = [one for one in self._followed.values() if not one.busy and one.behind > 0]
        if not waiting:
            return None
        followed = max(waiting, key=lambda one: one.behind)
        for _ in range(followed.behind - MAX_BEHIND):
            followed.next += 1
            self._count("skipped")
        return followed

    async def _upload(self, store: Bucket, followed: _Followed) -> bool:
        """Upload the next part of a track; return False if the store failed."""
        key = f"{parts_of(followed.recording_id)}{followed.next:05d}"
        followed.busy = True
        try:
            content = await asyncio.to_thread(_read, followed.track.path, followed.next)
            async with asyncio.timeout(PUT_SECONDS):
                await store.put_bytes(key, content)
                if followed.left:
                    # Its parts may have been deleted meanwhile.
                    await store.delete(key)
        except (StoreFailed, TimeoutError) as error:
            self._count(error.reason if isinstance(error, StoreFailed) else "timeout")
            return False
        except OSError:
            # The recording itself reports the disk.
            self._count("skipped")
        else:
            self._count("stored")
        finally:
            followed.busy = False
        followed.next += 1
        return True


async def assemble(store: Bucket, recording_id: str, path: Path) -> Written | None:
    """Make a WAV of a recording's parts; None if there are none.

    Parts that were skipped are silence.

    Raises:
        StoreFailed: the store failed.
        NotFound: a part has been deleted meanwhile.
        OSError: the disk failed.
    """
    prefix = parts_of(recording_id)
    names = [key.removeprefix(prefix) for key, size in await store.list(prefix) if size]
    numbers = sorted(int(name) for name in names if name.isdecimal() and int(name) <= MAX_PART)
    if not numbers:
        return None
    fresh = path.with_suffix(".assembling")
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
    end = 0
    try:
        for number in numbers:
            content = await store.get(f"{prefix}{number:05d}")
            await asyncio.to_thread(_write, fresh, HEADER_BYTES + number * PART_BYTES, content)
            end = number * PART_BYTES + len(content)
        await asyncio.to_thread(_write, fresh, 0, make_header(end))
        await asyncio.to_thread(os.replace, fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return Written(HEADER_BYTES + end, end / BYTES_PER_SECOND) if end else None


def _read(path: Path, number: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), PART_BYTES, HEADER_BYTES + number * PART_BYTES)


def _write(path: Path, offset: int, content: bytes) -> None:
    """Write at a place of a file; what is left out before it reads as zeros."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, content, offset)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
