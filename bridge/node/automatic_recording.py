"""Records calls because their line, their face or the order that made them asks for it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bridge.call.model import CallId, LineName
from bridge.errors import BridgeError, StorageFull
from bridge.node.manager import Manager
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

NOT_STARTED: Final = "not_started"
"""The recording could not begin: the call has all its legs, or has ended."""


class AutomaticRecording:
    """Starts recordings when calls are answered."""

    def __init__(
        self,
        manager: Manager,
        *,
        start: Callable[[LineName, CallId, bool], Awaitable[object]],
        automatic: Callable[[LineName], bool],
        captures: bool,
    ) -> None:
        """Make it; `automatic` says whether all calls of a line are recorded, `captures` whether `capture` does."""
        self._manager = manager
        self._start = start
        self._automatic = automatic
        self._captures = captures
        self._captured: set[CallId] = set()
        self._tasks = Tasks()

    def on_event(self, event: CallEvent) -> None:
        """Start to record an answered call if its order, its line or its face asks for it."""
        if not event.call:
            return
        line, call_id = LineName(event.line), CallId(event.call.id)
        if event.type == EventType.CALL_ANSWERED:
            ordered = self._manager.record(line, call_id).facts.details.record
            if ordered or self._automatic(line) or call_id in self._captured:
                self._spawn(line, call_id, asked_for=ordered)
        elif event.type == EventType.CALL_ENDED:
            self._captured.discard(call_id)

    def capture(self, line: LineName, call_id: str) -> None:
        """Record a call from its answer on; only once, so that the recording may be stopped.

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
        """Wait until all recordings that were begun have started."""
        await self._tasks.wait()

    def _spawn(self, line: LineName, call_id: CallId, *, asked_for: bool) -> None:
        started = self._start_quietly(line, call_id, asked_for=asked_for)
        self._tasks.spawn(started, name=f"record {call_id}")

    async def _start_quietly(self, line: LineName, call_id: CallId, *, asked_for: bool) -> None:
        try:
            await self._start(line, call_id, asked_for)
        except StorageFull:
            pass  # published already
        except (BridgeError, OSError):
            log.warning("recording.failed", extra={"call": call_id})
            self._manager.publish(
                EventType.RECORDING_FAILED, line, call_id, {"reason": NOT_STARTED}
            )
