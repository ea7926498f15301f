"""Which calls are recorded although nobody asks for each: their line, their face or their order says so."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from bridge.call.model import CallId, LineName
from bridge.call.notices import CallEvent
from bridge.errors import BridgeError, StorageFull
from bridge.node.manager import Manager
from bridge.tasks import Tasks

log = logging.getLogger(__name__)

NOT_STARTED: Final = "not_started"
"""A recording that nobody asked for could not begin: the call has all its legs, or has ended."""


class Start(Protocol):
    """Starts recording a call, `Recordings.start`."""

    def __call__(self, line: LineName, call_id: str, *, asked_for: bool) -> Awaitable[object]:
        """Start, for somebody or by itself."""
        ...


class AutomaticRecording:
    """Starts recordings when calls are answered."""

    def __init__(
        self,
        manager: Manager,
        *,
        start: Start,
        automatic: Callable[[LineName], bool],
        captures: bool,
        failed: Callable[[LineName, CallId, str], None],
    ) -> None:
        """Make it.

        Args:
            manager: has the calls.
            start: starts a recording.
            automatic: whether a line's calls are all recorded.
            captures: whether calls of a face that keeps what it carries are.
            failed: told of a recording that could not begin, and why.
        """
        self._manager = manager
        self._start = start
        self._automatic = automatic
        self._captures = captures
        self._failed = failed
        self._captured: set[CallId] = set()
        self._tasks = Tasks()

    def happened(self, event: CallEvent) -> None:
        """Record the calls that want it, or whose lines or faces do, from the answer on."""
        if not event.call_id:
            return
        wanted = event.record is not None and event.record.facts.details.record
        itself = self._automatic(event.line) or event.call_id in self._captured
        if event.type == "call.answered" and (wanted or itself):
            self._spawn(event.line, event.call_id, asked_for=wanted)
        elif event.type == "call.ended":
            self._captured.discard(event.call_id)

    def capture(self, line: LineName, call_id: str) -> None:
        """Record a call from its answer on because its face does; once, so that it may be stopped.

        Raises:
            CallNotFound, InvalidState: there is no such live call.
        """
        runner = self._manager.live(line, call_id)
        call = runner.facts.call_id
        if not self._captures or call in self._captured:
            return
        self._captured.add(call)
        if runner.machine.answered_at is not None:
            self._spawn(line, call, asked_for=False)

    async def wait(self) -> None:
        """Wait until all that was begun has started."""
        await self._tasks.wait()

    def _spawn(self, line: LineName, call_id: CallId, *, asked_for: bool) -> None:
        started = self._start_quietly(line, call_id, asked_for=asked_for)
        self._tasks.spawn(started, name=f"record {call_id}")

    async def _start_quietly(self, line: LineName, call_id: CallId, *, asked_for: bool) -> None:
        try:
            await self._start(line, call_id, asked_for=asked_for)
        except StorageFull:
            pass  # told already
        except (BridgeError, OSError):
            log.warning("recording.failed", extra={"call": call_id})
            self._failed(line, call_id, NOT_STARTED)
