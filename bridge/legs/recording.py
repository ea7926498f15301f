"""A track of a call recorded to a WAV file: a tap on the clock.

All tracks of a call are served by the same ticks, so they are aligned; what the clock skipped, and what
is paused, is silence. Audio is in memory for at most a second and is then written, with the header, by
a thread: a process that is killed leaves a playable file.
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
"""The disk stalled for so long that audio was lost."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(slots=True)
class Span:
    """When the tracks of one recording begin and end, so that all are equally long.

    Their legs join and leave one after the other, and are served in batches.
    """

    began: float = math.inf
    over: float = math.inf


class RecorderLeg:
    """One track of one recording, as a service leg."""

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
        space: DiskSpace,
        on_over: Callable[[], None],
    ) -> None:
        """Make a track of the recording's span, whose audio `threads` write to a new or empty file.

        `on_over` is called when all is written, or writing has failed.
        """
        self.leg_id = leg_id
        self.sink = self
        self.path = path
        self.paused = False
        """Whether silence is written in place of the audio."""
        self.awaiting_consent = False
        """As `paused`, until the recording has been announced."""
        self.failure = ""
        """Why the file is not written any further: one of the three above, or `give_up`'s; empty if it is."""
        self.written_bytes = 0
        """Of audio, in the file."""
        self._span = span
        self._track = TrackAssembler()
        self._threads = threads
        self._space = space
        self._on_over = on_over
        self._writing = asyncio.Lock()
        self._ended = False

    def give_up(self, reason: str) -> None:
        """Stop writing; the track ends as failed."""
        self.failure = self.failure or reason

    @property
    def seconds(self) -> float:
        """Duration of the audio in the file."""
        return self.written_bytes / FRAME_BYTES * FRAME_SECONDS

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame."""
        if self._span.began <= now < self._span.over and not self.failure:
            self._track.push(SILENCE if self.paused or self.awaiting_consent else frame.pcm, now)

    async def run(self, emit: Emit) -> None:
        """Write until cancelled, or until the disk takes no more; see `legs.base.Leg`."""
        emit(events.LegConnected(self.leg_id))
        try:
            while not self.failure:
                await asyncio.sleep(WRITE_SECONDS)
                # A write in progress when the track ends is finished and counted first.
                await asyncio.shield(self._write())
        finally:
            # Audio until now belongs to the file, also when the call is over.
            await asyncio.shield(self._finish())
        emit(events.LegEnded(self.leg_id, EndReason.FAILED))

    def statistics(self) -> LegStatistics:
        """Return what was recorded as `sent`."""
        frames = self._track.frames
        return LegStatistics(sent=SentAudio(packets=frames, bytes=frames * FRAME_BYTES))

    async def _finish(self) -> None:
        self._track.fill()
        self._ended = True
        await self._write()
        self._on_over()

    async def _write(self) -> None:
        async with self._writing:
            pcm = self._track.drain()
            if self.failure or not (pcm or self._ended or not self.written_bytes):
                return
            start = self.written_bytes
            append = partial(_append, self.path, start, pcm, self._space, sync=self._ended)
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, append)
            except OSError as error:
                self.failure = DISK_FULL if error.errno in _FULL else DISK_FAILED
                return
            self.written_bytes = start + len(pcm)
            if self._track.overrun:
                self.failure = DISK_SLOW


def _append(path: Path, start: int, pcm: bytes, space: DiskSpace, *, sync: bool) -> None:
    """Write audio at byte `start`, then the header that includes it.

    Without `sync` it survives the process but not the machine; syncing every time costs too much.
    """
    space.check()
    head = make_header(start + len(pcm))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        _write_all(descriptor, pcm, len(head) + start)
        _write_all(descriptor, head, 0)
        if sync:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of it; a disk that is almost full takes a part, and fails at the next attempt."""
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
