"""Adds machine detection to the outbound calls whose requests ask for it."""

import asyncio
import logging
from collections.abc import Callable

from bridge.audio.detect.answerer import Answerer
from bridge.call import events
from bridge.call.model import CallId, Direction, LineName, MachineDetection, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.errors import BridgeError
from bridge.legs.base import new_leg_id
from bridge.legs.machine_detector import MachineDetectorLeg
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)


class MachineDetectors:
    """The machine detection of this node's calls."""

    def __init__(
        self,
        manager: Manager,
        *,
        count: Callable[[str], None],
        announced: Callable[[LineName], float] = lambda line: 0.0,
    ) -> None:
        """`count` is called with each result; `announced` is as for agents (`node.calls.agent`)."""
        self._manager = manager
        self._announced = announced
        self._count = count

    def on_event(self, event: CallEvent) -> None:
        """Begin to listen when the media of such a call is up; hang up on a machine."""
        if event.type not in (EventType.CALL_ACTIVE, EventType.CALL_MACHINE_DETECTED):
            return
        runner = self._manager.running(CallId(event.call.id)) if event.call else None
        if runner is None or runner.facts.details.machine_detection is MachineDetection.OFF:
            return
        if event.type == EventType.CALL_ACTIVE:
            self._listen(runner)
        elif (
            event.data.get("result") == Answerer.MACHINE
            and runner.facts.details.machine_detection is MachineDetection.HANGUP
        ):
            runner.dispatch(events.HangupRequested())

    def _listen(self, runner: CallRunner) -> None:
        if runner.machine.direction is not Direction.OUTBOUND:
            return
        now = asyncio.get_running_loop().time()
        delay = runner.machine.announced_until(self._announced(runner.facts.line)) - now
        leg = MachineDetectorLeg(new_leg_id(), count=self._count, delay=max(0.0, delay))
        role = LegRole(Party.SERVICE, Subscription.INBOUND, Audience.NOBODY, asked_for=False)
        try:
            runner.add_leg(leg, role)
        except BridgeError as error:
            log.warning("machine_detection.not_started", extra={"code": error.code})
