"""The leg that takes a caller's message: plays the tones, and listens whether somebody speaks."""

import asyncio
from collections import deque
from collections.abc import Callable

from bridge.audio.detect.vad import Vad
from bridge.audio.frame import FRAME_BYTES, Frame
from bridge.call import events
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import LegId, LegKind, LegStatistics
from bridge.legs.base import Emit


class VoicemailLeg:
    """A service leg that hears the caller; the message itself is written by a recorder."""

    kind = LegKind.VOICEMAIL
    always_clocked = False

    def __init__(self, leg_id: LegId, *, on_speech: Callable[[float], None]) -> None:
        """`on_speech` is called with the time of each frame in which the caller speaks."""
        self.leg_id = leg_id
        self.source = self
        self.sink = self
        self._on_speech = on_speech
        self._vad = Vad()
        self._frames: deque[bytes] = deque()
        self._on_over: Callable[[], None] | None = None
        self._counter = FrameCounter()

    def play(self, pcm: bytes, on_over: Callable[[], None]) -> None:
        """Play whole samples at 16 kHz in place of what is being played, then call `on_over`."""
        self._frames.clear()
        for start in range(0, len(pcm), FRAME_BYTES):
            self._frames.append(pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
        self._on_over = on_over

    def stop(self) -> None:
        """Stop what is being played."""
        self._frames.clear()
        self._on_over = None

    def pull(self) -> bytes | None:
        """Return the next 20 ms of a tone; None while there is none."""
        if self._frames:
            frame = self._frames.popleft()
            self._counter.count_received(frame)
            return frame
        if (over := self._on_over) is not None:
            self._on_over = None
            over()
        return None

    def push(self, frame: Frame, now: float) -> None:
        """Listen to 20 ms of the caller."""
        self._counter.count_sent(frame.pcm)
        if self._vad.push(frame.pcm):
            self._on_speech(now)

    async def run(self, emit: Emit) -> None:
        """Live until cancelled; see `legs.base.Leg`."""
        emit(events.LegConnected(self.leg_id))
        await asyncio.Event().wait()

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what it has played, `sent` what it has heard."""
        return LegStatistics(received=self._counter.received(), sent=self._counter.sent())
