"""A file played into a call: a source that the clock pulls, fed by a process that decodes it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bridge.audio.frame import FRAME_BYTES, Frame, Push
from bridge.call import events
from bridge.call.ends import Relay, Sink, Source
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, ReceivedAudio
from bridge.errors import BridgeError
from bridge.media.decoders import Decoding

AHEAD_FRAMES: Final = 50
"""A second of sound is decoded ahead."""
MOST_REPEATS: Final = 1000


@dataclass(frozen=True, slots=True)
class PlaybackOptions:
    """How a file is played."""

    delay_seconds: float = 0.0
    repeats: int = 1
    """How often it is played, 1 to `MOST_REPEATS`."""
    duck_decibels: float = 0.0
    """By how much it lowers what is said to the far party meanwhile."""


class PlaybackLeg:
    """One file in one call, as a service leg; it hears nothing."""

    kind = LegKind.PLAYBACK
    timed = False
    relays = False
    packets = None
    steady = False

    def __init__(
        self,
        leg_id: LegId,
        *,
        first: Decoding,
        again: Callable[[], Awaitable[Decoding]],
        release: Callable[[], None],
        options: PlaybackOptions,
    ) -> None:
        """Make a playback.

        Args:
            leg_id: also the playback's id.
            first: the file, opened; the leg closes it.
            again: opens the file anew, for a repeat.
            release: called once when the file is needed no more.
            options: how it is played.
        """
        self.leg_id = leg_id
        self._decoding = first
        self._again = again
        self._release = release
        self._options = options
        self._frames: deque[bytes] = deque()
        self._room = asyncio.Event()
        self._empty = asyncio.Event()
        self._played = 0
        self._emit: Callable[[events.LegEvent], None] | None = None
        self.paused = False
        """Whether it stands still."""

    @property
    def source(self) -> Source:
        """The playback itself."""
        return self

    @property
    def sink(self) -> Sink:
        """The playback itself, which hears nothing."""
        return self

    @property
    def played_seconds(self) -> float:
        """How much has been heard."""
        return self._played * 0.02

    def attach(self, push: Push | None, relay: Relay | None = None) -> None:
        """Do nothing: the clock pulls."""

    def push(self, frame: Frame, now: float) -> None:
        """Hear nothing."""

    def pull(self) -> bytes | None:
        """Give the next 20 ms; None while there is none, or while it is paused."""
        if self.paused or not self._frames:
            return None
        frame = self._frames.popleft()
        if not self._played:
            self._note("playback.started")
        self._played += 1
        if len(self._frames) <= AHEAD_FRAMES // 2:
            self._room.set()
        if not self._frames:
            self._empty.set()
        return frame

    async def run(self, emit: Callable[[events.LegEvent], None]) -> None:
        """Play to the end; see `legs.base.Leg`."""
        self._emit = emit
        failed = False
        try:
            await asyncio.sleep(self._options.delay_seconds)
            emit(events.LegConnected(self.leg_id))
            for turn in range(self._options.repeats):
                if turn:
                    self._decoding = await self._again()
                await self._play()
                await self._decoding.aclose()
        except (OSError, BridgeError):
            failed = True
        finally:
            await self.aclose()
        while self._frames:
            self._empty.clear()
            await self._empty.wait()
        self._note("playback.completed", status="failed" if failed else "completed")
        emit(events.LegEnded(self.leg_id, EndReason.FAILED if failed else EndReason.HANGUP))

    async def _play(self) -> None:
        while pcm := await self._decoding.read(FRAME_BYTES):
            self._frames.append(pcm.ljust(FRAME_BYTES, b"\0"))
            if len(self._frames) >= AHEAD_FRAMES:
                self._room.clear()
                await self._room.wait()

    async def aclose(self) -> None:
        """Let go of the file; idempotent."""
        release, self._release = self._release, _nothing
        release()
        await self._decoding.aclose()

    def note_stopped(self) -> None:
        """Tell that it is stopped before its end."""
        self._note("playback.completed", status="stopped")

    def answer(self) -> None:
        """Do nothing: it does not ring."""

    def send_digits(self, digits: str) -> None:
        """Do nothing: nobody is there to take them."""

    def statistics(self) -> LegStatistics:
        """Give what was played as `received`."""
        return LegStatistics(
            received=ReceivedAudio(
                packets=self._played, bytes=self._played * FRAME_BYTES, frames=self._played
            )
        )

    def _note(self, kind: str, **data: str) -> None:
        if self._emit is not None:
            seconds = round(self.played_seconds, 2)
            self._emit(
                events.Noted(
                    self.leg_id, kind, {"playbackId": self.leg_id, "seconds": seconds, **data}
                )
            )


def _nothing() -> None:
    """Release nothing a second time."""
