"""Another recording of a call that has come from a machine that has died: its files are there."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from bridge.audio.file.formats import WAV
from bridge.call.model import CallId, LegId
from bridge.call.recording import RecordingRequest
from bridge.errors import BridgeError
from bridge.legs.base import Leg
from bridge.legs.recording import RecorderLeg
from bridge.node.manager import Manager
from bridge.node.recording.recordings import Recordings
from bridge.node.runner import CallRunner
from bridge.tasks import Tasks
from bridge.wire.call_event import EventType

log = logging.getLogger(__name__)


class WantedRecording(msgspec.Struct, frozen=True):
    """How a call was recorded."""

    request: RecordingRequest
    paused: bool


class RecordAgain:
    """Tells other machines how calls are recorded, and records theirs so (`node.handover.CallService`)."""

    def __init__(self, recordings: Recordings, manager: Manager) -> None:
        self._recordings = recordings
        self._manager = manager
        self._tasks = Tasks()

    def check_movable(self, call_id: CallId, *, copy: bool = False) -> None:
        """Do nothing: a recording stays where it is."""

    def suspend(self, call_id: CallId) -> WantedRecording | None:
        """Return how a call is recorded; the recording goes on."""
        found, runner = self._recordings.suspend(call_id), self._manager.running(call_id)
        if found is None or runner is None:
            return None
        recorders = [leg for leg in runner.legs() if isinstance(leg, RecorderLeg)]
        request = replace(found.tracks[0].request, key=None, file_format=WAV)
        return WantedRecording(request, paused=any(leg.paused for leg in recorders))

    def resume(self, call_id: CallId) -> None:
        """Do nothing."""

    def abandon(self, call_id: CallId) -> None:
        """Do nothing: what could not be taken over is not recorded either."""

    def restore(self, runner: CallRunner, state: msgspec.Raw, legs: Mapping[LegId, Leg]) -> None:
        """Begin another recording, once the call is here."""
        wanted = msgspec.msgpack.decode(state, type=WantedRecording)
        name = f"record {runner.facts.call_id} again"
        self._tasks.spawn(self._begin(runner, wanted), name=name)

    async def aclose(self) -> None:
        """Begin no more."""
        await self._tasks.aclose()

    async def _begin(self, runner: CallRunner, wanted: WantedRecording) -> None:
        if self._manager.running(runner.facts.call_id) is not runner:
            return  # it could not be taken over
        try:
            await self._recordings.start(runner, wanted.request)
            if wanted.paused:
                self._recordings.pause(runner, paused=True)
        except BridgeError as error:
            log.error("recording.not_begun_again", extra={"code": error.code})
            runner.publish(EventType.RECORDING_FAILED, {"reason": error.code})
