"""The time a line's server has to decide about an inbound call, and the default when it expires."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.call import events
from bridge.call.model import CallId, EndReason, LineName
from bridge.errors import BridgeError
from bridge.node.manager import Manager
from bridge.wire.call_event import CallEvent, EventType

NOTICE_SECONDS: Final = 5.0
"""How long before the timeout `call.decision_due` is published; at most half of the timeout."""


class DecisionDefault(StrEnum):
    """What happens to a call that nobody has decided about."""

    RING = "ring"
    """It rings on, for as long as calls may ring."""
    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How long a line's server has, and what happens otherwise."""

    seconds: float = 30.0
    default: DecisionDefault = DecisionDefault.RING


REQUESTS: Final[Mapping[DecisionDefault, events.Request]] = {
    DecisionDefault.ACCEPT: events.AnswerRequested(),
    DecisionDefault.REJECT: events.HangupRequested(EndReason.REJECTED),
}


class Decisions:
    """The inbound calls of a node that wait for a decision."""

    def __init__(self, manager: Manager, rules: Mapping[LineName, DecisionRule]) -> None:
        """Make it; the default rule applies to lines that have none in `rules`."""
        self._manager = manager
        self._rules = rules
        self._timers: dict[CallId, asyncio.TimerHandle] = {}

    def start(self, line: LineName, call_id: CallId) -> None:
        """Start the timeout of a call that begins to ring."""
        rule = self._rules.get(line, DecisionRule())
        notice = min(NOTICE_SECONDS, rule.seconds / 2)
        loop = asyncio.get_running_loop()
        started = loop.time()

        def due() -> None:
            self._timers[call_id] = loop.call_at(started + rule.seconds, over)
            data = {"seconds": notice, "default": rule.default.value}
            self._manager.publish(EventType.CALL_DECISION_DUE, line, call_id, data)

        def over() -> None:
            del self._timers[call_id]
            if (wanted := REQUESTS.get(rule.default)) is not None:
                with suppress(BridgeError):
                    self._manager.request(line, call_id, wanted)

        self._timers[call_id] = loop.call_at(started + rule.seconds - notice, due)

    def on_event(self, event: CallEvent) -> None:
        """Cancel the timeout of a call that has been answered or has ended."""
        decided = event.type in (EventType.CALL_ANSWERED, EventType.CALL_ENDED)
        if decided and event.call and (timer := self._timers.pop(CallId(event.call.id), None)):
            timer.cancel()
