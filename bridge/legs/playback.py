"""A file played into a call, decoded by a process of its own."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import FRAME_BYTES
from bridge.call import events
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, ReceivedAudio
from bridge.errors import BridgeError, LimitExceeded
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


class PlaybackLeg:
    """One file in one call, as a service leg; it hears nothing."""

    kind = LegKind.PLAYBACK
    sink = None

    def __init__(
        self,
        leg_id: LegId,
        *,
        first: Decoding,
        reopen: Callable[[int], Awaitable[Decoding]],
        release: Callable[[], None],
        options: PlaybackOptions,
    ) -> None:
        """Make a playback of `first`, an opened file that the leg closes; its id is the leg's.

        `reopen` opens the file again, past that many bytes of PCM; `release` is called once when it is
        no longer needed.
        """
        self.leg_id = leg_id
        self.source = self
        self._decoding = first
        self._open = reopen
        self._release = release
        self._released = False
        self._options = options
        self._frames: deque[bytes] = deque()
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._played = 0
        self._emit: Emit = drop
        self._resumed = asyncio.Event()
        if not options.waits:
            self._resumed.set()

    @property
    def played_seconds(self) -> float:
        """How much has been played."""
        return self._played * 0.02

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
        failed = False
        try:
            await asyncio.sleep(self._options.delay_seconds)
            emit(events.LegConnected(self.leg_id))
            for turn in range(self._options.repeats):
                if turn:
                    self._decoding = await self._reopen(0)
                await self._play()
                await self._decoding.aclose()
        except (OSError, BridgeError):
            failed = True
        finally:
            await self.aclose()
        while self._frames:
            self._empty.clear()
            await self._empty.wait()
        self._report(EventType.PLAYBACK_COMPLETED, status="failed" if failed else "completed")
        emit(events.LegEnded(self.leg_id, EndReason.FAILED if failed else EndReason.HANGUP))

    async def _play(self) -> None:
        """Play the open file once."""
        decoded = 0
        while True:
            if self.paused:
                await self._decoding.aclose()
                self._decoding = await self._reopen(decoded)
            elif len(self._frames) >= AHEAD_FRAMES:
                self._room.clear()
                await self._room.wait()
            else:
                pcm = await self._decoding.read(FRAME_BYTES)
                if not pcm:
                    return
                self._frames.append(pcm.ljust(FRAME_BYTES, b"\0"))
                decoded += len(pcm)

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
        await self._decoding.aclose()

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
