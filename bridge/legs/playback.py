"""A file played into a call, decoded by a process of its own."""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS
from bridge.call import events
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, ReceivedAudio
from bridge.errors import BridgeError, HandoverRefused, LimitExceeded
from bridge.legs.base import Emit, drop
from bridge.media.decoding.decoders import Decoding
from bridge.wire.call_event import EventType

AHEAD_FRAMES: Final = 50
"""One second is decoded ahead."""
MAX_REPEATS: Final = 1000
REOPEN_ATTEMPTS: Final = 40
RETRY_SECONDS: Final = 0.25
"""A resumed playback waits ten seconds for a decoder; what was decoded ahead is played meanwhile."""


@dataclass(frozen=True, slots=True)
class PlaybackOptions:
    """How a file is played."""

    delay_seconds: float = 0.0
    repeats: int = 1
    """How often it is played, 1 to `MAX_REPEATS`."""
    duck_decibels: float = 0.0
    """By how much it ducks voices."""
    waits: bool = False
    """Whether it waits for `PlaybackLeg.start`."""


class PlaybackSnapshot(msgspec.Struct, frozen=True):
    """A playback that another process goes on with."""

    path: str
    repeats: int
    turns: int
    """How often the file was decoded to its end."""
    decoded: int
    """Bytes of PCM since then."""
    frames: bytes
    """What is still to be played of what was decoded."""
    played: int
    paused: bool

    def after(self, seconds: float) -> "PlaybackSnapshot":
        """Return where a playback is that went on for so long; one that was not heard yet begins."""
        frames = round(seconds / FRAME_SECONDS) if self.played and not self.paused else 0
        later = {"decoded": self.decoded + frames * FRAME_BYTES, "played": self.played + frames}
        return msgspec.structs.replace(self, **later)


class PlaybackLeg:
    """One file in one call, as a service leg; it hears nothing."""

    kind = LegKind.PLAYBACK
    sink = None

    def __init__(
        self,
        leg_id: LegId,
        path: Path,
        *,
        first: Decoding | None,
        reopen: Callable[[int], Awaitable[Decoding]],
        release: Callable[[], None],
        options: PlaybackOptions,
    ) -> None:
        """Make a playback of `first`, the file at `path`, opened, which the leg closes; its id is the leg's.

        `reopen` opens the file again, past that many bytes of PCM; `release` is called once when it is
        no longer needed.
        """
        self.leg_id = leg_id
        self.source = self
        self._path = path
        self._decoding = first
        self._turns = 0
        self._decoded = self._length = 0
        """Of this turn, and of the last one."""
        self._open = reopen
        self._release = release
        self._released = False
        self._options = options
        self._frames: deque[bytes] = deque()
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._played = 0
        self._emit: Emit = drop
        self._connected = False
        self._failed = False
        self._resumed = asyncio.Event()
        if not options.waits:
            self._resumed.set()

    @property
    def played_seconds(self) -> float:
        """How much has been played."""
        return self._played * 0.02

    @property
    def repeats(self) -> bool:
        """Whether the file is repeated."""
        return self._turns + 1 < self._options.repeats

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        return not self._resumed.is_set()

    def pause(self, *, paused: bool) -> None:
        """Pause or resume; a paused playback frees its decoder."""
        if paused:
            self._resumed.clear()
            self._room.set()
        else:
            self._resumed.set()

    def start(self) -> None:
        """Start a playback that waits for this."""
        self._resumed.set()

    def pull(self) -> bytes | None:
        """Return the next 20 ms; None while there is none, or while paused."""
        if self.paused or not self._frames:
            return None
        frame = self._frames.popleft()
        if not self._played:
            self._report(EventType.PLAYBACK_STARTED)
        self._played += 1
        if len(self._frames) <= AHEAD_FRAMES // 2:
            self._room.set()
        if not self._frames:
            self._empty.set()
        return frame

    async def run(self, emit: Emit) -> None:
        """Play to the end; see `legs.base.Leg`."""
        self._emit = emit
        try:
            await self._play_all(emit)
            while self._frames:
                self._empty.clear()
                await self._empty.wait()
        finally:
            await self.aclose()  # not before: another process may go on with what is left
        status, reason = (
            ("failed", EndReason.FAILED) if self._failed else ("completed", EndReason.HANGUP)
        )
        self._report(EventType.PLAYBACK_COMPLETED, status=status)
        emit(events.LegEnded(self.leg_id, reason))

    async def _play_all(self, emit: Emit) -> None:
        try:
            if not self._connected:
                await asyncio.sleep(self._options.delay_seconds)
                self._connected = True
                emit(events.LegConnected(self.leg_id))
            while self._turns < self._options.repeats:
                await self._play()
                self._turns, self._length, self._decoded = self._turns + 1, self._decoded, 0
                await self._close()
        except (OSError, BridgeError):
            self._failed = True
            await self._close()

    async def _play(self) -> None:
        """Play the file once, or what is left of it."""
        while True:
            if self.paused:
                await self._close()
            if self._decoding is None:
                self._decoding = await self._reopen(self._decoded)
            elif len(self._frames) >= AHEAD_FRAMES:
                self._room.clear()
                await self._room.wait()
            else:
                pcm = await self._decoding.read(FRAME_BYTES)
                if not pcm:
                    return
                self._frames.append(pcm.ljust(FRAME_BYTES, b"\0"))
                self._decoded += len(pcm)

    async def _reopen(self, skip: int) -> Decoding:
        """Reopen the file once it is resumed and a decoder is free."""
        await self._resumed.wait()
        for _ in range(REOPEN_ATTEMPTS - 1):
            try:
                return await self._open(skip)
            except LimitExceeded:
                await asyncio.sleep(RETRY_SECONDS)
                await self._resumed.wait()
        return await self._open(skip)

    async def aclose(self) -> None:
        """Release the file; idempotent."""
        if not self._released:
            self._released = True
            self._release()
        await self._close()

    async def _close(self) -> None:
        decoding, self._decoding = self._decoding, None
        if decoding is not None:
            await decoding.aclose()

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the playback cannot move now (`legs.base.Movable`)."""
        if not self._connected or self._failed:
            raise HandoverRefused("a playback has not begun, or is at its end")

    def suspend(self) -> tuple[PlaybackSnapshot, list[socket.socket]]:
        """Return where the playback is (`legs.base.Movable`); nothing is played while nobody pulls."""
        self.check_movable()
        snapshot = PlaybackSnapshot(
            str(self._path.absolute()),
            self._options.repeats,
            self._turns,
            self._decoded,
            b"".join(self._frames),
            self._played,
            self.paused,
        )
        return snapshot, []

    def copy(self) -> PlaybackSnapshot:
        """Return where the playback is, without what is decoded ahead (`legs.base.Copyable`)."""
        now, _ = self.suspend()
        turns, heard = self._turns, self._decoded - len(self._frames) * FRAME_BYTES
        if heard < 0 and self._length:  # the end of the turn before is still to be played
            turns, heard = turns - 1, self._length + heard
        return msgspec.structs.replace(now, turns=turns, decoded=max(0, heard), frames=b"")

    def resume(self) -> None:
        """Go on after `suspend` (`legs.base.Movable`)."""

    async def abandon(self) -> None:
        """Release the file here; another process plays it (`legs.base.Movable`)."""
        await self.aclose()

    def restore(self, before: PlaybackSnapshot) -> None:
        """Go on with another process's playback when it is run."""
        self._connected = True
        self._turns, self._decoded, self._played = before.turns, before.decoded, before.played
        starts = range(0, len(before.frames), FRAME_BYTES)
        self._frames.extend(before.frames[start : start + FRAME_BYTES] for start in starts)
        self.pause(paused=before.paused)

    def note_stopped(self) -> None:
        """Report that it is stopped before its end."""
        self._report(EventType.PLAYBACK_COMPLETED, status="stopped")

    def statistics(self) -> LegStatistics:
        """Return what was played as `received`."""
        return LegStatistics(
            received=ReceivedAudio(
                packets=self._played, bytes=self._played * FRAME_BYTES, frames=self._played
            )
        )

    def _report(self, kind: EventType, **data: str) -> None:
        seconds = round(self.played_seconds, 2)
        facts = {"playbackId": self.leg_id, "seconds": seconds, **data}
        self._emit(events.LegReported(self.leg_id, kind, facts))
