"""The leg that takes a caller's message: plays the tones, and listens whether somebody speaks."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

import msgspec

from bridge.audio.detect.vad import Vad
from bridge.audio.frame import FRAME_BYTES, Frame
from bridge.call import events
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import LegId, LegKind, LegStatistics
from bridge.legs.base import Emit


class VoicemailSnapshot(msgspec.Struct, frozen=True):
    """A leg that another process goes on with."""

    frames: bytes
    """What is still to be played."""
    played: int
    heard: int
    """Frames."""


class VoicemailLeg:
    """A service leg that hears the caller; the message itself is written by a recorder."""

    kind = LegKind.VOICEMAIL
    always_clocked = False

    def __init__(self, leg_id: LegId, *, on_speech: Callable[[float], None]) -> None:
        """`on_speech` is called with the time of each frame in which the caller speaks."""
        self.leg_id = leg_id
        self.source = self
        self.sink = self
        self.on_speech = on_speech
        self._restored = False
        self._vad = Vad()
        self._frames: deque[bytes] = deque()
        self._on_over: Callable[[], None] | None = None
        self._counter = FrameCounter()
        self.left = b""
        """What another process had still to play."""

    def play(self, pcm: bytes, on_over: Callable[[], None]) -> None:
        """Play whole samples at 16 kHz in place of what is being played, then call `on_over`."""
        self._frames.clear()
        for start in range(0, len(pcm), FRAME_BYTES):
            self._frames.append(pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
        self._on_over = on_over

    @property
    def playing(self) -> bool:
        """Whether something is being played."""
        return self._on_over is not None

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
            self.on_speech(now)

    async def run(self, emit: Emit) -> None:
        """Live until cancelled; see `legs.base.Leg`."""
        if not self._restored:
            emit(events.LegConnected(self.leg_id))
        await asyncio.Event().wait()

    def check_movable(self) -> None:
        """Let the leg move at any time (`legs.base.Movable`)."""

    def suspend(self) -> tuple[VoicemailSnapshot, list[socket.socket]]:
        """Return what is still to be played (`legs.base.Movable`); nothing is while nobody pulls."""
        counter, frames = self._counter, b"".join(self._frames)
        return VoicemailSnapshot(frames, counter.received_frames, counter.sent_frames), []

    def resume(self) -> None:
        """Go on after `suspend` (`legs.base.Movable`)."""

    async def abandon(self) -> None:
        """Have nothing to free (`legs.base.Movable`)."""

    def restore(self, before: VoicemailSnapshot) -> None:
        """Go on with another process's leg when it is run; `on_over` and `on_speech` are to be set."""
        self._restored = True
        self.left = before.frames
        self._counter.received_frames, self._counter.sent_frames = before.played, before.heard

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what it has played, `sent` what it has heard."""
        return LegStatistics(received=self._counter.received(), sent=self._counter.sent())
