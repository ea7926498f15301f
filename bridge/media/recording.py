"""A track of a call written to a WAV file as it is heard: a tap that the clock serves.

Each frame lies in the file where the clock had it, so all tracks of a call share one time: what the
clock skipped, and what is paused, is silence. The sound waits in memory for at most a second and is
then written, head and all, by a thread; a process that is killed leaves a file that can be played.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SILENCE, Frame, Push
from bridge.audio.wav import header
from bridge.call import events
from bridge.call.bus import Relay, Sink, Source
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, SentAudio

WRITE_SECONDS: Final = 0.5
MOST_WAITING: Final = 500
"""Frames in memory, 10 s of a disk that stands still; what comes beyond is lost, and noted."""


class RecorderLeg:
    """One track of one recording, as a service leg; it says nothing."""

    kind = LegKind.RECORDER
    timed = False
    relays = False
    packets = None
    steady = True

    def __init__(
        self,
        leg_id: LegId,
        path: Path,
        *,
        threads: Executor,
        on_over: Callable[["RecorderLeg"], None],
    ) -> None:
        """Make a track.

        Args:
            leg_id: unique within the call.
            path: the file; it must not exist.
            threads: write it.
            on_over: told when all is written, or writing has failed.
        """
        self.leg_id = leg_id
        self.path = path
        self.paused = False
        """Whether silence is written in place of what is heard."""
        self.failed = False
        """Whether the file could not be written; it ends where that began."""
        self.frames = 0
        """How long the track is by now, in frames."""
        self.written_bytes = 0
        """Of sound, in the file."""
        self._threads = threads
        self._on_over = on_over
        self._waiting: list[bytes] = []
        self._began: float | None = None
        self._writing = asyncio.Lock()

    @property
    def source(self) -> Source:
        """The recorder itself, which says nothing."""
        return self

    @property
    def sink(self) -> Sink:
        """The recorder itself."""
        return self

    @property
    def seconds(self) -> float:
        """How much is in the file."""
        return self.written_bytes / FRAME_BYTES * FRAME_SECONDS

    def attach(self, push: Push | None, relay: Relay | None = None) -> None:
        """Do nothing: there is nothing to say."""

    def pull(self) -> bytes | None:
        """Say nothing."""
        return None

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame, and silence before it for what the clock has skipped."""
        if self.failed:
            return
        if self._began is None:
            self._began = now
        behind = round((now - self._began) / FRAME_SECONDS) - self.frames
        for _ in range(min(behind, MOST_WAITING - len(self._waiting))):
            self._take(SILENCE)
        self._take(SILENCE if self.paused else frame.pcm)

    def _take(self, pcm: bytes) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.failed = True
            return
        self._waiting.append(pcm)
        self.frames += 1

    async def run(self, emit: Callable[[events.LegEvent], None]) -> None:
        """Write until cancelled, or until the disk takes no more; see `legs.base.Leg`."""
        emit(events.LegConnected(self.leg_id))
        try:
            while not self.failed:
                await asyncio.sleep(WRITE_SECONDS)
                await self._write()
            await self._write()
        finally:
            # What is heard until now belongs to the file, also when the call is over.
            await asyncio.shield(self._finish())
        emit(events.LegEnded(self.leg_id, EndReason.FAILED))

    async def aclose(self) -> None:
        """Do nothing: a track that was never run has no file."""

    def answer(self) -> None:
        """Do nothing: it does not ring."""

    def send_digits(self, digits: str) -> None:
        """Do nothing: they are not heard."""

    def statistics(self) -> LegStatistics:
        """Give what was recorded as `sent`."""
        return LegStatistics(sent=SentAudio(packets=self.frames, bytes=self.frames * FRAME_BYTES))

    async def _finish(self) -> None:
        await self._write()
        self._on_over(self)

    async def _write(self) -> None:
        # A write that is under way when the track ends is finished and counted first.
        await asyncio.shield(self._write_next())

    async def _write_next(self) -> None:
        async with self._writing:
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        pcm, self._waiting = b"".join(self._waiting), []
        if not pcm and self.written_bytes:
            return
        start = self.written_bytes
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._threads, _append, self.path, start, pcm
            )
        except OSError:
            self.failed = True
            return
        self.written_bytes = start + len(pcm)


def _append(path: Path, start: int, pcm: bytes) -> None:
    """Write sound behind `start` bytes of it, then the head that counts it in."""
    head = header(start + len(pcm))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, pcm, len(head) + start)
        os.pwrite(descriptor, head, 0)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
