"""The service leg that speaks a disclosure; only the end of the call stops it.

Unlike a playback it cannot be stopped or paused by a request, nor cleared by a bot.
"""

import asyncio
from typing import NoReturn

from bridge.audio.frame import FRAME_BYTES, Frame
from bridge.call import events
from bridge.call.disclosure.statement import Statement
from bridge.call.disclosure_wording import Wording
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, ReceivedAudio
from bridge.errors import HandoverRefused
from bridge.legs.base import Emit


class DisclosureLeg:
    """Speaks one disclosure to some persons of a call; it is its own source and sink."""

    kind = LegKind.PLAYBACK
    always_clocked = True

    def __init__(self, leg_id: LegId, pcm: bytes, wording: Wording) -> None:
        """`pcm` has 16-bit samples at 16 kHz."""
        self.leg_id = leg_id
        self.wording = wording
        self.source = self.sink = self
        self.statement = Statement(pcm)
        self.finished = asyncio.Event()
        """Set once the leg has ended, for whatever reason."""
        self._begun = False
        self._ends = asyncio.Event()
        self._frames = 0
        self._loop = asyncio.get_running_loop()

    def pull(self) -> bytes | None:
        """Return the next 20 ms; None before it runs, in a pause, and after its end."""
        if not self._begun:
            return None
        frame = self.statement.pull(self._loop.time())
        if frame is not None:
            self._frames += 1
        elif self.statement.over:
            self._ends.set()
        return frame

    def push(self, frame: Frame, now: float) -> None:
        """Process the next 20 ms of the far parties."""
        self.statement.hear(frame.pcm, now)

    def stop(self) -> None:
        """End it early, because nobody hears it any longer."""
        self._ends.set()

    async def run(self, emit: Emit) -> None:
        """Speak it; see `legs.base.Leg`."""
        try:
            emit(events.LegConnected(self.leg_id))
            self._begun = True
            await self._ends.wait()
            if self.statement.over:
                emit(events.DisclosureSpoken(self.leg_id, self.wording))
            emit(events.LegEnded(self.leg_id, EndReason.HANGUP))
        finally:
            self.finished.set()

    def statistics(self) -> LegStatistics:
        """Return statistics; what was spoken counts as `received`."""
        count = self._frames
        audio = ReceivedAudio(packets=count, bytes=count * FRAME_BYTES, frames=count)
        return LegStatistics(received=audio)

    def check_movable(self) -> None:
        """Raise `HandoverRefused`: the call moves once it has been spoken (`legs.base.Movable`)."""
        raise HandoverRefused("the disclosure is being spoken")

    def suspend(self) -> NoReturn:
        """See `check_movable`; if this process dies, another one speaks it again from the beginning."""
        raise HandoverRefused("the disclosure is being spoken")

    def resume(self) -> None:
        """See `legs.base.Movable`."""

    async def abandon(self) -> None:
        """See `legs.base.Movable`."""
