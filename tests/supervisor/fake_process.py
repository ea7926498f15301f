"""A node without a process, whose end a test decides."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable

from bridge.supervisor.child import Child
from bridge.supervisor.kept_calls import KeptCall
from bridge.supervisor.process import End
from bridge.wire.crash_marks import mark_of
from bridge.wire.supervision import BeginDrain, Keep, Process, Roster, Slot, Stop, ToNode

LOST = End(1, stuck=False, drained=False)
NUMBERED_FROM = 40
"""What nodes with leases call themselves, above their slots."""


class FakeProcess:
    """A node whose end the test decides."""

    all: list["FakeProcess"]
    cannot_start = False

    def __init__(
        self, slot: Slot, *, on_draining: Callable[[], None], keeps: bool, hang_seconds: float
    ) -> None:
        self.slot, self.on_draining, self.keeps = slot, on_draining, keeps
        self.hang_seconds = hang_seconds
        self.left: list[KeptCall] = []
        self.spare: Child | None = None
        self.node, self.boot = slot.node, slot.boot
        self.number = slot.node + NUMBERED_FROM
        self.draining = self.ready = self.started = False
        self.ready_or_ended = asyncio.Event()
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.heard: list[ToNode] = []
        self.all.append(self)

    def entry(self) -> Process:
        return Process(self.node, self.boot, self.draining)

    def send(self, message: ToNode) -> None:
        self.heard.append(message)

    def drain(self, seconds: float | None, reason: str) -> None:
        self.draining = True
        self.send(BeginDrain(seconds=seconds, reason=reason))

    def stop(self) -> None:
        self.send(Stop())
        self.end(End(0, stuck=False, drained=True))

    async def run(self) -> End:
        self.started = True
        if self.cannot_start:
            raise OSError(errno.EMFILE, "too many open files")
        try:
            return await self.ended
        finally:
            self.ready_or_ended.set()

    def keep_struck(self, call: KeptCall) -> bool:
        self.left.append(call)
        return True

    # What the test does

    def get_ready(self) -> None:
        self.ready = True
        self.ready_or_ended.set()

    def crash(self, *call_ids: str) -> None:
        """Die of one of these calls."""
        marks = frozenset(map(mark_of, call_ids))
        self.end(End(-signal.SIGSEGV, stuck=False, drained=False, accused=marks))

    def end(self, how: End = LOST) -> None:
        if not self.ended.done():
            self.ended.set_result(how)

    def leave(self, call_id: str) -> list[int]:
        """Leave a call; return its descriptors."""
        kept = KeptCall(Keep(call_id=call_id), *os.pipe(), [*os.pipe()], self.node, [self.boot])
        self.left.append(kept)
        return kept.all

    def roster(self) -> Roster:
        found = [message for message in self.heard if isinstance(message, Roster)]
        return found[-1] if found else self.slot.roster
