"""Applies each line's settings to its calls, so that the call service knows nothing of them.

A line that is off rejects inbound calls, and its calls end when it is switched off (outbound calls are
refused by `Lines.check_on`). A line that is on lets inbound calls ring, answers or rejects them or sends
them to voicemail, at once or when nobody has decided in time (`Decisions`).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bridge.call import events
from bridge.call.model import CallId, Direction, EndReason, LineName
from bridge.errors import BridgeError, DatabaseLost, LineDisabled
from bridge.node.line_book import KnownLine, LineBook
from bridge.node.lines import InboundAction, Lines
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

NOTICE_SECONDS: Final = 5.0
"""How long before the timeout `call.decision_due` is published; at most half of the timeout."""
RELOAD_SECONDS = 5.0
"""A node may have missed a notification of another."""


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """How long a line's server has, and what happens otherwise."""

    seconds: float = 30.0
    default: InboundAction = InboundAction.RING


REQUESTS: Final[Mapping[InboundAction, events.Request]] = {
    InboundAction.ACCEPT: events.AnswerRequested(),
    InboundAction.REJECT: events.HangupRequested(EndReason.REJECTED),
}
"""What is requested of the call by most actions."""


class Actions:
    """Does to an inbound call that rings what its line wants."""

    def __init__(self, manager: Manager, send_to_voicemail: Callable[[CallRunner], None]) -> None:
        self._manager = manager
        self._send_to_voicemail = send_to_voicemail

    def perform(self, line: LineName, call_id: CallId, action: InboundAction) -> None:
        """Perform an action; nothing on a call that rings on, or whose caller has given up meanwhile."""
        with suppress(BridgeError):
            if action is InboundAction.VOICEMAIL:
                self._send_to_voicemail(self._manager.live(line, call_id))
            elif (wanted := REQUESTS.get(action)) is not None:
                self._manager.request(line, call_id, wanted)


class Decisions:
    """The inbound calls of a node that wait for a decision."""

    def __init__(
        self, manager: Manager, rules: Mapping[LineName, DecisionRule], actions: Actions
    ) -> None:
        """The default rule applies to lines that have none in `rules`."""
        self._manager = manager
        self._actions = actions
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
            self._actions.perform(line, call_id, rule.default)

        self._timers[call_id] = loop.call_at(started + rule.seconds - notice, due)

    def on_event(self, event: CallEvent) -> None:
        """Cancel the timeout of a call that has been answered or has ended."""
        decided = event.type in (EventType.CALL_ANSWERED, EventType.CALL_ENDED)
        if decided and event.call and (timer := self._timers.pop(CallId(event.call.id), None)):
            timer.cancel()


class InboundPolicy:
    """Answers, rejects or lets ring the inbound calls of this node, and ends those of lines that go off."""

    def __init__(
        self,
        manager: Manager,
        lines: Lines,
        book: LineBook,
        rules: Mapping[LineName, DecisionRule],
        *,
        send_to_voicemail: Callable[[CallRunner], None],
    ) -> None:
        """Apply the settings of the lines to the manager's calls; `rules` as for `Decisions`."""
        self._manager = manager
        self._lines = lines
        self._book = book
        self._actions = Actions(manager, send_to_voicemail)
        self._decisions = Decisions(manager, rules, self._actions)

    async def follow(self) -> None:
        """Reload now and then what other nodes may have changed, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            try:
                await self._lines.reload()
                await self._book.reload()
            except DatabaseLost:
                continue
            except Exception:  # the database may be back by the next time
                log.exception("lines.read_failed")

    def on_event(self, event: CallEvent) -> None:
        """Do to a call that begins to ring what its line wants."""
        self._decisions.on_event(event)
        call = event.call
        if event.type != EventType.CALL_RINGING or not call or call.direction != Direction.INBOUND:
            return
        line, call_id = LineName(event.line), CallId(call.id)
        if (action := self._action(line)) is InboundAction.RING:
            self._decisions.start(line, call_id)
        else:
            self._actions.perform(line, call_id, action)

    def _action(self, line: LineName) -> InboundAction:
        try:
            return self._lines.admit(line)
        except LineDisabled:
            return InboundAction.REJECT

    def line_changed(self, known: KnownLine | None, line: LineName) -> None:
        """End the calls of a line that was removed or paused."""
        if known is None or known.paused:
            self.end_calls(line)

    def end_calls(self, line: LineName) -> None:
        """End the calls of a line."""
        for runner in list(self._manager.calls()):
            # The process that takes a call over follows the lines too.
            if runner.facts.line == line and not runner.suspension.active:
                runner.dispatch(events.HangupRequested())
