"""Answering machine detection (AMD): a tap on the far party of an outbound call."""

import asyncio
from collections.abc import Callable

from bridge.audio.detect.answerer import AnswererDetector
from bridge.audio.frame import FRAME_SECONDS, Frame
from bridge.call import events
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.legs.base import Emit


class MachineDetectorLeg:
    """A tap on what the far party says, from the answer on; it leaves when nothing more can be found."""

    kind = LegKind.MACHINE_DETECTOR
    source = None
    always_clocked = True

    def __init__(self, leg_id: LegId, *, count: Callable[[str], None], delay: float = 0.0) -> None:
        """`count` is called with the result; for `delay` seconds somebody else announces something."""
        self.leg_id = leg_id
        self.sink = self
        self._count = count
        self._detector = AnswererDetector()
        self._announced = round(delay / FRAME_SECONDS)
        """Frames to pass over."""
        self._counter = FrameCounter()
        self._over = asyncio.Event()
        self._emit: Emit | None = None

    def push(self, frame: Frame, now: float) -> None:
        """Process the next 20 ms of the far party."""
        self._counter.count_sent(frame.pcm)
        if self._emit is None or self._over.is_set():
            return
        if self._announced > 0:
            self._announced -= 1
            return
        if (found := self._detector.push(frame.pcm)) is not None:
            self._count("beep" if found.beep_at is not None else found.answerer.value)
            self._emit(events.AnswererDetected(self.leg_id, found))
        if self._detector.done:
            self._over.set()

    async def run(self, emit: Emit) -> None:
        """Listen until the detector has finished; see `legs.base.Leg`."""
        self._emit = emit
        emit(events.LegConnected(self.leg_id))
        await self._over.wait()
        emit(events.LegEnded(self.leg_id, EndReason.HANGUP))

    def statistics(self) -> LegStatistics:
        """Return what was heard as `sent`."""
        return LegStatistics(received=self._counter.received(), sent=self._counter.sent())
