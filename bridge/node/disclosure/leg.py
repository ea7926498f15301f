"""Says to persons in a call that they hear a machine, as a service leg; nothing stops it but the end of the call.

It is no playback that a request could stop or pause, and no bot clears it.
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
    """One disclosure to some persons of a call; it is its own source and sink."""

    kind = LegKind.PLAYBACK
    always_clocked = True

    def __init__(self, leg_id: LegId, pcm: bytes, wording: Wording) -> None:
        """Make it of samples of 16 bits at 16 kHz."""
        self.leg_id = leg_id
        self.wording = wording
        self.source = self.sink = self
        self.statement = Statement(pcm)
        self.finished = asyncio.Event()
        """Set once the leg is over, however it ends."""
        self._begun = False
        self._ends = asyncio.Event()
        self._frames = 0
        self._loop = asyncio.get_running_loop()

    def pull(self) -> bytes | None:
        """Return the next 20 ms; None before it runs, in a pause, and at its end."""
        if not self._begun:
            return None
        frame = self.statement.pull(self._loop.time())
        if frame is not None:
            self._frames += 1
        elif self.statement.over:
            self._ends.set()
        return frame

    def push(self, frame: Frame, now: float) -> None:
        """Take the next 20 ms of the far parties."""
        self.statement.hear(frame.pcm, now)

    def stop(self) -> None:
        """End it before its end: nobody hears it any longer."""
        self._ends.set()

    async def run(self, emit: Emit) -> None:
        """Say it; see `legs.base.Leg`."""
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
        """Return what was said as `received`."""
        count = self._frames
        audio = ReceivedAudio(packets=count, bytes=count * FRAME_BYTES, frames=count)
        return LegStatistics(received=audio)

    def check_movable(self) -> None:
        """Raise `HandoverRefused`: the call moves once it has been said (`legs.base.Movable`)."""
        raise HandoverRefused("the disclosure is being spoken")

    def suspend(self) -> NoReturn:
        """See `check_movable`; if its process dies, another one says it anew."""
        raise HandoverRefused("the disclosure is being spoken")

    def resume(self) -> None:
        """See `legs.base.Movable`."""

    async def abandon(self) -> None:
        """See `legs.base.Movable`."""
