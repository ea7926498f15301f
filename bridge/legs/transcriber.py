"""Splits one track of a live call into phrases: a tap on the clock."""

import asyncio
import socket
from collections.abc import Callable

import msgspec

from bridge.audio.detect.phrases import PhraseSplitter, SplitterSnapshot, SpokenPhrase
from bridge.audio.frame import Frame
from bridge.call import events
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import LegId, LegKind, LegStatistics
from bridge.legs.base import Emit


class TranscriberSnapshot(msgspec.Struct, frozen=True):
    """A track that another process goes on with."""

    track: SplitterSnapshot
    heard: int
    """Frames."""


class TranscriberLeg:
    """One track; each phrase is passed on when it ends, the last one when the leg leaves."""

    kind = LegKind.TRANSCRIBER
    source = None
    always_clocked = True

    def __init__(
        self,
        leg_id: LegId,
        *,
        max_seconds: float,
        on_phrase: Callable[[SpokenPhrase], None],
        on_over: Callable[[], None],
    ) -> None:
        """`max_seconds` is the longest phrase, whose times begin with the first frame.

        `on_over` is called after the last phrase.
        """
        self.leg_id = leg_id
        self.sink = self
        self._max_seconds = max_seconds
        self._splitter = PhraseSplitter(max_seconds=max_seconds)
        self.on_phrase = on_phrase
        self.on_over = on_over
        self._counter = FrameCounter()
        self._restored = False
        self._suspended = False

    def push(self, frame: Frame, now: float) -> None:
        """Process the next 20 ms of the track."""
        self._counter.count_sent(frame.pcm)
        for phrase in self._splitter.push(frame.pcm):
            self.on_phrase(phrase)

    async def run(self, emit: Emit) -> None:
        """Listen until cancelled; see `legs.base.Leg`."""
        if not self._restored:
            emit(events.LegConnected(self.leg_id))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            if not self._suspended:
                for phrase in self._splitter.flush():
                    self.on_phrase(phrase)
                self.on_over()

    def check_movable(self) -> None:
        """Let the track move at any time (`legs.base.Movable`)."""

    def suspend(self) -> tuple[TranscriberSnapshot, list[socket.socket]]:
        """Return the track with the phrase under way (`legs.base.Movable`)."""
        self._suspended = True
        return TranscriberSnapshot(self._splitter.snapshot(), self._counter.sent_frames), []

    def copy(self) -> TranscriberSnapshot:
        """Return where the track is, without the phrase under way (`legs.base.Copyable`)."""
        heard = self._counter.sent_frames
        return TranscriberSnapshot(SplitterSnapshot(count=self._splitter.snapshot().count), heard)

    def resume(self) -> None:
        """Go on after `suspend` (`legs.base.Movable`)."""
        self._suspended = False

    async def abandon(self) -> None:
        """Have nothing to free (`legs.base.Movable`)."""

    def restore(self, before: TranscriberSnapshot) -> None:
        """Go on with another process's track when it is run; `on_phrase` and `on_over` are to be set."""
        self._restored = True
        self._splitter = PhraseSplitter(max_seconds=self._max_seconds, before=before.track)
        self._counter.sent_frames = before.heard

    def statistics(self) -> LegStatistics:
        """Return what was heard as `sent`."""
        return LegStatistics(received=self._counter.received(), sent=self._counter.sent())
