"""The time in which a server decides about an inbound call, and what happens when it says nothing."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from bridge.call import events
from bridge.call.model import CallId, EndReason, LineName
from bridge.call.notices import CallEvent

DUE: Final = "call.decision_due"
"""Tells that the time is nearly over: `{seconds, default}`."""
NOTICE_SECONDS: Final = 5.0
"""How long before the end it is told; half of the time where that is less."""


class DecisionDefault(StrEnum):
    """What becomes of a call that nobody has decided about."""

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
OVER: Final = frozenset({"call.answered", "call.ended"})


class Decisions:
    """The calls of a node that ring and wait for a decision."""

    def __init__(
        self,
        rules: Mapping[LineName, DecisionRule],
        *,
        ask: Callable[[LineName, CallId, events.Request], None],
        tell: Callable[[CallEvent], None],
    ) -> None:
        """Take what to do.

        Args:
            rules: of each line; the default rule holds for others.
            ask: asks something of a call that may be over.
            tell: publishes an event.
        """
        self._rules = rules
        self._ask = ask
        self._tell = tell
        self._timers: dict[CallId, asyncio.TimerHandle] = {}

    def rings(self, event: CallEvent, call_id: CallId) -> None:
        """Begin the time of a call that has just begun to ring a line."""
        rule = self._rules.get(event.line, DecisionRule())
        notice = min(NOTICE_SECONDS, rule.seconds / 2)
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def due() -> None:
            data = {"seconds": notice, "default": rule.default.value}
            self._timers[call_id] = loop.call_at(begun + rule.seconds, over)
            now = datetime.now(UTC)
            self._tell(CallEvent(DUE, event.line, call_id, now, event.record, data))

        def over() -> None:
            del self._timers[call_id]
            if (wanted := REQUESTS.get(rule.default)) is not None:
                self._ask(event.line, call_id, wanted)

        self._timers[call_id] = loop.call_at(begun + rule.seconds - notice, due)

    def happened(self, event: CallEvent) -> None:
        """Stop waiting for a decision about a call that has been answered, or has ended."""
        if event.type in OVER and event.call_id is not None:
            timer = self._timers.pop(event.call_id, None)
            if timer is not None:
                timer.cancel()
