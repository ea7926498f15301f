"""The scripted caller as the far party of a call: a leg that hears and says what its `Talk` does."""

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.audio.frame import FRAME_SECONDS, SILENCE, Frame
from bridge.call import events
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import EndReason, LegKind, LegStatistics
from bridge.legs.base import Emit, new_leg_id
from bridge.rehearse.talk import Talk

SKIPPED_FRAMES: Final = 5
"""As many ticks that the clock has skipped are skipped in the talk too."""


class ScriptedCaller:
    """A leg that rings, and talks from the answer on (`legs.base.DialledLeg`).

    The clock gives it a frame every 20 ms, and takes one.
    """

    kind = LegKind.SIMULATOR
    always_clocked = True

    def __init__(self, make: Callable[["ScriptedCaller"], Talk]) -> None:
        """`make` returns the talk, which is to call `press` and `hang_up` of the leg."""
        self.filling: Callable[[], bool] = lambda: False
        """Whether the bot is saying a filler, not an answer."""
        self.leg_id = new_leg_id()
        self.source = self.sink = self
        self.talk = make(self)
        self.began: float | None = None
        """When the first frame came, by the loop's clock."""
        self.late = 0.0
        """The worst delay of the bridge's clock, in seconds."""
        self.spoken = asyncio.Event()
        """Set when the bot has finished a sentence while the caller waits for words."""
        self._answered = asyncio.Event()
        self._left = asyncio.Event()
        self._emit: Emit | None = None
        self._next = SILENCE
        self._ticks = 0
        self._counter = FrameCounter()

    async def run(self, emit: Emit) -> None:
        """Ring, and talk until the caller hangs up (`legs.base.Leg.run`)."""
        try:
            await self._answered.wait()
            self._emit = emit
            emit(events.LegConnected(self.leg_id))
            await self._left.wait()
        finally:
            self._emit = None
        emit(events.LegEnded(self.leg_id, EndReason.REMOTE_HANGUP))

    def answer(self) -> None:
        """Be answered."""
        self._answered.set()

    def press(self, key: str) -> None:
        """Press a key."""
        if self._emit is not None:
            self._emit(events.DigitReceived(self.leg_id, key))

    def hang_up(self) -> None:
        """End the call."""
        self._left.set()

    def send_digits(self, digits: str) -> None:
        """Take digits that the bot sends."""
        self.talk.received += digits

    def pull(self) -> bytes | None:
        """Return the next 20 ms that the caller says; None before the answer."""
        if self._emit is None:
            return None
        self._counter.count_received(self._next)
        return self._next

    def push(self, frame: Frame, now: float) -> None:
        """Take 20 ms that the caller hears."""
        if self._emit is None:
            return
        if self.began is None:
            self.began = now
        self._counter.count_sent(frame.pcm)
        late = now - self.began - self._ticks * FRAME_SECONDS
        self.late = max(self.late, late)
        skipped = round(late / FRAME_SECONDS)
        if skipped >= SKIPPED_FRAMES:
            self.talk.skip(skipped)
            self._ticks += skipped
        self._ticks += 1
        sentences = len(self.talk.stretches)
        self._next = self.talk.tick(frame.pcm, filler=self.filling())
        if len(self.talk.stretches) > sentences and self.talk.waits_for_words:
            self.talk.recognizing = True
            self.spoken.set()

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what the caller says, `sent` what it hears."""
        return LegStatistics(received=self._counter.received(), sent=self._counter.sent())
