"""A track of a call recorded to a file: a tap on the bus.

All tracks of a call share one span of time, so they are aligned; what the clock skipped, and what
is paused, is silence. Audio is in memory for a second or two and is then written by a thread: a process
that is killed leaves a playable file. A track of Opus packets takes those that are forwarded undecoded, and frames
only where there are none (`audio.file.track_file`).
"""

import asyncio
import errno
import math
import os
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.file.track_file import TrackFile, TrackSnapshot, WavFile
from bridge.audio.frame import Frame
from bridge.call import events
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, SentAudio
from bridge.call.recording import Written
from bridge.errors import HandoverRefused
from bridge.legs.base import Emit
from bridge.media.disk_space import DiskSpace
from bridge.media.recording.repair import repair_ogg, set_size

DISK_FULL: Final = "disk_full"
DISK_FAILED: Final = "disk_failed"
DISK_SLOW: Final = "disk_slow"
"""The disk stalled for so long that audio was lost."""
NOT_ANNOUNCED: Final = "not_announced"
"""The announcement of the recording could not be played, or its process has died before."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(slots=True)
class Span:
    """When the tracks of one recording begin and end, so that all are equally long.

    Their legs join and leave one after the other, and are served in batches.
    """

    began: float = math.inf
    over: float = math.inf


class RecorderSnapshot(msgspec.Struct, frozen=True):
    """A track that another process goes on with."""

    path: str
    paused: bool
    file: TrackSnapshot
    died: bool = False
    """Whether the process has died: the file may have more than `file` says, and is asked."""
    announced: bool = True


class RecorderLeg:
    """One track of one recording, as a service leg."""

    kind = LegKind.RECORDER
    source = None
    loss_ratio = 0.0
    """See `call.bus.ends.PacketSink`."""

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        leg_id: LegId,
        path: Path,
        *,
        span: Span,
        threads: Executor,
        space: DiskSpace,
        on_over: Callable[[], None],
        file: TrackFile | None = None,
    ) -> None:
        """Make a track of the recording's span, whose audio `threads` write to a new or empty file.

        `on_over` is called when all is written, or writing has failed. `file` is a WAV unless given.
        """
        self.leg_id = leg_id
        self.sink = self
        self.path = path
        self.paused = False
        """Whether silence is written in place of the audio."""
        self.awaiting_announcement = False
        """As `paused`, until the recording has been announced."""
        self.failure = ""
        """Why the file is not written any further: one of those above, or `give_up`'s; empty if it is."""
        self.span = span
        self._file = file or WavFile()
        self.passthrough_codec = self._file.codec
        """See `call.bus.ends.PacketSink`."""
        self.always_clocked = self.passthrough_codec is None
        """See `call.bus.ends.Sink`."""
        self._threads = threads
        self._space = space
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()
        self._ended = False
        self._suspended = False
        self._restored = self._cut_off = False

    def give_up(self, reason: str) -> None:
        """Stop writing; the track ends as failed."""
        self.failure = self.failure or reason

    @property
    def written_bytes(self) -> int:
        """Bytes of audio in the file."""
        return self._file.audio_bytes

    @property
    def written(self) -> Written:
        """What is in the file; nothing if writing failed before."""
        file = self._file
        failed = self.failure and not file.audio_bytes
        return Written(0 if failed else file.size_bytes, file.seconds)

    @property
    def silent(self) -> bool:
        """Whether it writes silence in place of what is said."""
        return self.paused or self.awaiting_announcement

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame."""
        if self.span.began <= now < self.span.over and not self.failure:
            self._file.push(frame, now - self.span.began, silent=self.silent)

    def take(self, packet: EncodedPacket, now: float) -> bool:
        """Take a packet; none while it is paused, which leaves a gap to be filled.

        Returns:
            False for another codec, which a source may change to at any time.
        """
        if packet.codec is not self.passthrough_codec:
            return False
        span = self.span
        if span.began <= now < span.over and not self.failure and not self.silent:
            self._file.take(packet, now - span.began)
        return True

    async def run(self, emit: Emit) -> None:
        """Write until cancelled, or until the disk takes no more; see `legs.base.Leg`."""
        if not self._restored:
            emit(events.LegConnected(self.leg_id))
        try:
            while not self.failure:
                await asyncio.sleep(self._file.write_seconds)
                # A write in progress when the track ends is finished and counted first.
                await asyncio.shield(self._write())
        finally:
            # Audio until now belongs to the file, also when the call is over.
            await asyncio.shield(self._finish())
        emit(events.LegEnded(self.leg_id, EndReason.FAILED))

    def statistics(self) -> LegStatistics:
        """Return what was recorded as `sent`."""
        file = self._file
        sent = SentAudio(packets=file.taken, bytes=file.audio_bytes, dropped_frames=file.dropped)
        return LegStatistics(sent=sent)

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the track cannot move now (`legs.base.Movable`)."""
        if self._writing.locked() or self._ended or self.failure or self._file.overrun:
            raise HandoverRefused("a recording is being written, or is at its end")
        if self.awaiting_announcement:
            raise HandoverRefused("a recording is being announced")

    def suspend(self) -> tuple[RecorderSnapshot, list[socket.socket]]:
        """Write no more; return the track with what is not in its file yet (`legs.base.Movable`)."""
        self.check_movable()
        self._suspended = True
        return RecorderSnapshot(str(self.path.absolute()), self.paused, self._file.snapshot()), []

    def copy(self) -> RecorderSnapshot:
        """Return what does not depend on how much is written (`legs.base.Copyable`)."""
        if self._ended or self.failure:
            raise HandoverRefused("a recording is at its end")
        path, announced = str(self.path.absolute()), not self.awaiting_announcement
        file = self._file.copy()
        return RecorderSnapshot(path, self.paused, file, died=True, announced=announced)

    def resume(self) -> None:
        """Write again (`legs.base.Movable`)."""
        self._suspended = False

    async def abandon(self) -> None:
        """Leave the file to another process (`legs.base.Movable`)."""

    def restore(self, before: RecorderSnapshot) -> None:
        """Go on with another process's track when it is run, once `go_on` says when."""
        self._restored, self.paused, self._cut_off = True, before.paused, before.died
        if not before.announced:
            self.give_up(NOT_ANNOUNCED)

    @property
    def cut_off_at(self) -> float | None:
        """Until when the file of a process that has died has audio, in seconds of the span."""
        return self._file.heard_seconds if self._cut_off else None

    def go_on(self, span: Span, now: float) -> None:
        """Go on with a restored track, of which nothing was heard until now."""
        self.span = span
        if self._cut_off:
            whole = self._file.size_bytes
            self._file.leap(now - span.began)
            try:
                set_size(self.path, whole, self._file.size_bytes)
            except OSError as error:
                self.give_up(DISK_FULL if error.errno in _FULL else DISK_FAILED)
        self._file.skip(now - span.began)

    async def _finish(self) -> None:
        if self._suspended:
            return
        self._ended = True
        if not self.always_clocked:
            # Nobody has stopped the recording: the first track that ends sets the length of all.
            self.span.over = min(self.span.over, self._loop.time())
        await self._write()
        self._on_over()

    async def _write(self) -> None:
        if self._suspended:
            return
        async with self._writing:
            over = self._ended
            due = self._file.collect(over=over)
            if self.failure or not (due or over):
                return
            at = min(self._loop.time(), self.span.over) - self.span.began
            write = partial(_write, self.path, self._file, max(0.0, at), self._space, over=over)
            try:
                await self._loop.run_in_executor(self._threads, write)
            except OSError as error:
                self.failure = DISK_FULL if error.errno in _FULL else DISK_FAILED
                if not self.always_clocked:
                    # What was begun is cut off, and the file is whole.
                    await self._loop.run_in_executor(self._threads, repair_ogg, self.path)
                return
            self._file.written()
            if self._file.overrun:
                self.failure = DISK_SLOW


def _write(path: Path, file: TrackFile, at: float, space: DiskSpace, *, over: bool) -> None:
    """Write what is due.

    Unless it is over it survives the process but not the machine; syncing every time costs too much.
    """
    space.check()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for offset, content in file.writes(at, over=over):
            _write_all(descriptor, content, offset)
        if over:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of it; a disk that is almost full takes a part, and fails at the next attempt."""
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
