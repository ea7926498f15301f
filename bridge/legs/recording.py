"""A track of a call written to a WAV file as it is heard: a tap that the clock serves.

All tracks of a call are served by the same ticks, so they share one time; what the clock left out,
and what is paused, is silence. The sound waits in memory for at most a second and is then written,
head and all, by a thread; a process that is killed leaves a file that can be played.
"""

import asyncio
import errno
import math
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SILENCE, Frame
from bridge.audio.track_assembler import TrackAssembler
from bridge.audio.wav import make_header
from bridge.call import events
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, SentAudio
from bridge.legs.base import Emit
from bridge.media.disk_space import DiskSpace

WRITE_SECONDS: Final = 0.5
DISK_FULL: Final = "disk_full"
DISK_FAILED: Final = "disk_failed"
DISK_SLOW: Final = "disk_slow"
"""The disk stood still for so long that sound was lost."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(slots=True)
class Span:
    """From when to when the tracks of one recording last, so that all are equally long.

    Legs come and go one after the other, and what they hear comes in batches: without it one track
    would have begun some frames before another.
    """

    began: float = math.inf
    over: float = math.inf


class RecorderLeg:
    """One track of one recording, as a service leg; it says nothing."""

    kind = LegKind.RECORDER
    source = None
    steady = True

    def __init__(
        self,
        leg_id: LegId,
        path: Path,
        *,
        span: Span,
        threads: Executor,
        room: DiskSpace,
        on_over: Callable[[], None],
    ) -> None:
        """Make a track.

        Args:
            leg_id: unique within the call.
            path: the file; empty if it exists.
            span: what is heard before it begins and after it is over is left out.
            threads: write it.
            room: says whether the disk takes more.
            on_over: told when all is written, or writing has failed.
        """
        self.leg_id = leg_id
        self.sink = self
        self.path = path
        self.paused = False
        """Whether silence is written in place of what is heard."""
        self.waits = False
        """As `paused`, until all have been told that the call is recorded."""
        self.failure = ""
        """Why the file is not written any further: a word of the three above, or `give_up`'s."""
        self.written_bytes = 0
        """Of sound, in the file."""
        self._span = span
        self._tape = TrackAssembler()
        self._threads = threads
        self._room = room
        self._on_over = on_over
        self._writing = asyncio.Lock()
        self._ended = False

    def give_up(self, reason: str) -> None:
        """Write nothing any more; the track ends as one that failed."""
        self.failure = self.failure or reason

    @property
    def seconds(self) -> float:
        """How much is in the file."""
        return self.written_bytes / FRAME_BYTES * FRAME_SECONDS

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame."""
        if self._span.began <= now < self._span.over and not self.failure:
            self._tape.push(SILENCE if self.paused or self.waits else frame.pcm, now)

    async def run(self, emit: Emit) -> None:
        """Write until cancelled, or until the disk takes no more; see `legs.base.Leg`."""
        emit(events.LegConnected(self.leg_id))
        try:
            while not self.failure:
                await asyncio.sleep(WRITE_SECONDS)
                await self._write()
        finally:
            # What is heard until now belongs to the file, also when the call is over.
            await asyncio.shield(self._finish())
        emit(events.LegEnded(self.leg_id, EndReason.FAILED))

    def statistics(self) -> LegStatistics:
        """Give what was recorded as `sent`."""
        frames = self._tape.frames
        return LegStatistics(sent=SentAudio(packets=frames, bytes=frames * FRAME_BYTES))

    async def _finish(self) -> None:
        self._tape.finish()
        self._ended = True
        await self._write()
        self._on_over()

    async def _write(self) -> None:
        # A write that is under way when the track ends is finished and counted first.
        await asyncio.shield(self._write_next())

    async def _write_next(self) -> None:
        async with self._writing:
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        pcm = self._tape.drain()
        if self.failure or not (pcm or self._ended or not self.written_bytes):
            return
        start = self.written_bytes
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._threads, partial(_append, sync=self._ended), self.path, start, pcm, self._room
            )
        except OSError as error:
            self.failure = DISK_FULL if error.errno in _FULL else DISK_FAILED
            return
        self.written_bytes = start + len(pcm)
        if self._tape.overrun:
            self.failure = DISK_SLOW


def _append(path: Path, start: int, pcm: bytes, room: DiskSpace, *, sync: bool) -> None:
    """Write sound behind `start` bytes of it, then the head that counts it in.

    Without `sync` it outlives the process, but not the machine: that costs too much to do all the time.
    """
    room.check()
    head = make_header(start + len(pcm))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        _write_all(descriptor, pcm, len(head) + start)
        _write_all(descriptor, head, 0)
        if sync:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes, place: int) -> None:
    """Write all of it; a disk that is almost full takes a part, and says so at the next try."""
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, place)
        left, place = left[written:], place + written
