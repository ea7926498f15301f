"""One process of a node, as its supervisor sees it: messages both ways, heartbeats, its end."""

import asyncio
import contextlib
import logging
import os
import select
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from bridge.errors import RemoteProtocolError
from bridge.supervisor.child import Child
from bridge.supervisor.hang_detector import (
    LOOK_SECONDS,
    Hang,
    HangDetector,
    Look,
    main_thread,
    media_thread,
)
from bridge.supervisor.kept_calls import KeptCall, KeptCalls
from bridge.supervisor.strikes import accused
from bridge.wire import supervision
from bridge.wire.supervision import (
    MAX_LINE,
    BeginDrain,
    Calls,
    Drained,
    Process,
    Ready,
    Roster,
    Slot,
    Stop,
    ToNode,
)

log = logging.getLogger(__name__)

STOP_SECONDS: Final = 10.0
"""How long a stopping node may take before it is killed."""
NOTIFY_SECONDS: Final = 12.0
"""How long a node that has drained may take to notify its parties, in addition."""


class End(NamedTuple):
    """How a process ended."""

    code: int
    stuck: bool
    """Killed because it was stuck."""
    drained: bool
    """It was to drain, and did."""
    accused: frozenset[int] = frozenset()
    """The marks of the calls that it may have died of."""


class NodeProcess:
    """A process, from its start to its end."""

    def __init__(
        self,
        slot: Slot,
        *,
        on_draining: Callable[[], None] = lambda: None,
        keeps: bool = False,
        hang_seconds: float = 3.0,
    ) -> None:
        """Take a slot, and how it is supervised.

        Args:
            slot: What the process is.
            on_draining: Called when it begins to drain by itself.
            keeps: Whether its calls are kept for a successor.
            hang_seconds: Without a heartbeat, after which it is killed if its threads have not run.
        """
        self._slot = slot
        self._detector = HangDetector(hang_seconds)
        self._media_thread = 0
        self._keeps = keeps
        self.spare: Child | None = None
        """A process that waits for the slot; None to start one."""
        self.left: list[KeptCall] = []
        """What it has left, once it has ended; whoever takes it closes it."""
        self._on_draining = on_draining
        self.node = slot.node
        self.number = slot.node
        """What the node calls itself; with leases another number than its slot's."""
        self.boot = slot.boot
        self.calls = 0
        self.seconds: float | None = None
        """Until a drain ends the calls; None for no drain or no limit."""
        self.handed = 0
        """How many calls it has passed to another node."""
        self.draining = False
        """Whether it is to drain, or does so by itself."""
        self.ready_or_ended = asyncio.Event()
        """Set once it is ready or has ended."""
        self.ready = False
        self.ended = False
        self._drained = False
        self._heard = False
        self._heard_at = time.monotonic()
        self._line = b""
        self._pending: list[ToNode] = []
        self._child: Child | None = None
        self._kill_at: float | None = None
        self._kept: KeptCalls | None = None

    def entry(self) -> Process:
        """Return how rosters name it."""
        return Process(self.node, self.boot, self.draining)

    def send(self, message: ToNode) -> None:
        """Send a message; those of before its start follow the slot."""
        if self._child is not None:
            self._child.send(message)
        elif isinstance(message, Roster):
            self._slot = msgspec.structs.replace(self._slot, roster=message)
        else:
            self._pending.append(message)

    def drain(self, seconds: float | None, reason: str) -> None:
        """Let it drain; it is killed when it has not ended long after the time."""
        self.draining = True
        self.send(BeginDrain(seconds=seconds, reason=reason))
        if seconds is not None:
            self._kill_after(seconds + (NOTIFY_SECONDS if seconds else 0.0) + STOP_SECONDS)

    def stop(self) -> None:
        """End it, politely for `STOP_SECONDS`."""
        self.draining = True
        self.send(Stop())
        self._kill_after(STOP_SECONDS)

    def keep_struck(self, call: KeptCall) -> bool:
        """Keep a call that a process before has died of (`KeptCalls.take_struck`); return whether it is kept."""
        if self._kept is None or self.ended:
            return False
        self._kept.take_struck(call)
        return True

    async def run(self) -> End:
        """Start it, and wait until it has ended.

        When cancelled, the process is killed.

        Raises:
            OSError: it cannot be started.
        """
        inherited = self._slot.inherited
        if (child := self.spare) is None:
            child = await Child.start(self._slot.listeners, inherited, keeps=self._keeps)
        with contextlib.closing(child):
            self._child, self._kept = child, child.kept
            ends = {"pipe": child.pipe, "keep": child.keep, "passed": child.prepared}
            self.send(msgspec.structs.replace(self._slot, **ends))
            for message in self._pending:
                self.send(message)
            loop, process, kept = asyncio.get_running_loop(), child.process, child.kept
            loop.add_reader(child.reports, self._read, child.reports)
            if kept is not None:
                loop.add_reader(kept, kept.read)
            killer = loop.create_task(self._kill_when_due(process), name=f"watch node {self.node}")
            passing = loop.create_task(child.pass_calls(inherited), name="pass calls")
            try:
                code = await process.wait()  # from now on it sends nothing
                hang = killer.result() if killer.done() else None
                blamed: frozenset[int] = frozenset()
                if kept is not None:
                    blamed = accused(code, hang, kept.marks())
                    self.left = kept.leave(self.number, self.boot, time.monotonic())
                    for one in self.left if hang is not None else ():
                        one.hung = one.died_at - self._heard_at
                self._read(child.reports)
                return End(code, stuck=hang is not None, drained=self._drained, accused=blamed)
            finally:
                loop.remove_reader(child.reports)
                if kept is not None:
                    loop.remove_reader(kept)
                killer.cancel()
                passing.cancel()
                self.ended = True
                self.ready_or_ended.set()

    def _kill_after(self, seconds: float) -> None:
        self._kill_at = asyncio.get_running_loop().time() + seconds

    async def _kill_when_due(self, process: asyncio.subprocess.Process) -> Hang | None:
        """Kill the process once it hangs, or does not end in time; return how it hung, None if it did not."""
        loop, hang, late = asyncio.get_running_loop(), None, False
        while hang is None and not late:
            await asyncio.sleep(LOOK_SECONDS)
            hang = self._detector.check(self._look(process.pid, loop.time()))
            late = self._kill_at is not None and loop.time() >= self._kill_at
        event = "node.stuck" if hang is not None else "node.killed"
        log.error(event, extra={"node": self.node, "pid": process.pid})
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return hang

    def _look(self, pid: int, now: float) -> Look:
        heard, self._heard = self._heard, False
        if self._drained:  # it sends no more heartbeats, and waits for its last threads
            return Look(now, heard, None, None)
        return Look(now, heard, main_thread(pid), media_thread(pid, self._media_thread))

    def _read(self, pipe: int) -> None:
        """Read heartbeats and messages."""
        with contextlib.suppress(BlockingIOError):
            while found := os.read(pipe, select.PIPE_BUF):
                self._heard, self._heard_at = True, time.monotonic()
                *lines, self._line = (self._line + found).split(b"\n")
                self._line = self._line[-MAX_LINE:]
                for line in filter(None, lines):
                    self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = supervision.from_node(line)
        except RemoteProtocolError as error:
            log.error("node.bad_message", extra={"node": self.node, "error": str(error)})
            return
        match message:
            case Ready(node=number):
                self.ready, self.number = True, number
                self.ready_or_ended.set()
            case Calls(
                calls=calls, draining=draining, seconds=seconds, handed=handed, media_thread=thread
            ):
                self.calls, self.seconds, self.handed = calls, seconds, handed
                self._media_thread = thread
                if draining and not self.draining:
                    self.draining = True
                    self._on_draining()
            case Drained():
                self._drained = True
