"""Splits one track of a live call into phrases: a tap on the clock."""

import asyncio
from collections.abc import Callable

from bridge.audio.detect.phrases import PhraseSplitter, SpokenPhrase
from bridge.audio.frame import Frame
from bridge.call import events
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import LegId, LegKind, LegStatistics
from bridge.legs.base import Emit


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
        self._splitter = PhraseSplitter(max_seconds=max_seconds)
        self._on_phrase = on_phrase
        self._on_over = on_over
        self._counter = FrameCounter()

    def push(self, frame: Frame, now: float) -> None:
        """Process the next 20 ms of the track."""
        self._counter.count_sent(frame.pcm)
        for phrase in self._splitter.push(frame.pcm):
            self._on_phrase(phrase)

    async def run(self, emit: Emit) -> None:
        """Listen until cancelled; see `legs.base.Leg`."""
        emit(events.LegConnected(self.leg_id))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            for phrase in self._splitter.flush():
                self._on_phrase(phrase)
            self._on_over()

    def statistics(self) -> LegStatistics:
        """Return what was heard as `sent`."""
        return LegStatistics(received=self._counter.received(), sent=self._counter.sent())
