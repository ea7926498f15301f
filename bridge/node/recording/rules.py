"""The rules of recordings, and those that begin because a line, a face or the request for a call asks for it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bridge.audio.codec.opus import Opus
from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest
from bridge.errors import BridgeError, StorageFull
from bridge.media.disk_space import DiskSpace
from bridge.media.folder import MediaFolder
from bridge.node.calls.announcement import Announcement
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.settings.recording import Recording as RecordingSettings
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

NOT_STARTED: Final = "not_started"
"""The recording could not begin: the call has all its legs, or has ended."""


@dataclass(frozen=True, slots=True)
class RecordingRules:
    """How the operator and the lines have calls recorded, and what that needs."""

    settings: RecordingSettings
    files: MediaFolder
    """The folders for paths chosen by callers."""
    disk_space: DiskSpace
    """The free disk space; recordings stop before it is used up."""
    automatic: Callable[[LineName], bool]
    """Whether all calls of a line are recorded."""
    opus: Opus
    """Encodes what cannot be forwarded undecoded, where packets are recorded."""
    announcement: Announcement | None = None
    """What everybody hears before a recording begins."""

    @property
    def captures(self) -> bool:
        """Whether WADial's calls are recorded as it records them: from the answer on, once a client has asked for their sound."""
        return self.settings.wadial and not self.settings.exclusive


class AutomaticRecording:
    """Starts recordings when calls are answered."""

    def __init__(
        self,
        manager: Manager,
        rules: RecordingRules,
        start: Callable[[CallRunner, RecordingRequest], Awaitable[object]],
    ) -> None:
        self._manager = manager
        self._start = start
        self._rules = rules
        self.captured: set[CallId] = set()
        """Live calls that `capture` was asked to record."""
        self._tasks = Tasks()

    def on_event(self, event: CallEvent) -> None:
        """Start to record an answered call if its order, its line or its face asks for it."""
        if not event.call:
            return
        line, call_id = LineName(event.line), CallId(event.call.id)
        if event.type == EventType.CALL_ANSWERED:
            record = self._manager.record(line, call_id)
            if record.at_voicemail:
                return  # the message alone is recorded
            ordered = record.facts.details.record
            if ordered or self._rules.automatic(line) or call_id in self.captured:
                self._spawn(line, call_id, asked_for=ordered)
        elif event.type == EventType.CALL_ENDED:
            self.captured.discard(call_id)

    def capture(self, runner: CallRunner) -> None:
        """Record a call from its answer on; only once, so that the recording may be stopped."""
        call = runner.facts.call_id
        if not self._rules.captures or call in self.captured or not runner.live:
            return
        self.captured.add(call)
        if runner.machine.answered_at is not None:
            self._spawn(runner.facts.line, call, asked_for=False)

    async def wait(self) -> None:
        """Wait until all recordings that were begun have started."""
        await self._tasks.wait()

    def _spawn(self, line: LineName, call_id: CallId, *, asked_for: bool) -> None:
        started = self._start_quietly(line, call_id, asked_for=asked_for)
        self._tasks.spawn(started, name=f"record {call_id}")

    async def _start_quietly(self, line: LineName, call_id: CallId, *, asked_for: bool) -> None:
        try:
            request = RecordingRequest(asked_for=asked_for)
            await self._start(self._manager.live(line, call_id), request)
        except StorageFull:
            pass  # published already
        except (BridgeError, OSError):
            log.warning("recording.failed", extra={"call": call_id})
            self._manager.publish(
                EventType.RECORDING_FAILED, line, call_id, {"reason": NOT_STARTED}
            )
