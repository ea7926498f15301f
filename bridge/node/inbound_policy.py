"""Applies each line's settings to its calls, so that the call service knows nothing of them.

A line that is off rejects inbound calls, and its calls end when it is switched off (outbound calls are
refused by `Lines.check_on`). A line that is on lets inbound calls ring, answers or rejects them, at once
or when nobody has decided in time (`node.decision`).
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from bridge.call import events
from bridge.call.model import CallId, Direction, EndReason, LineName
from bridge.errors import BridgeError, EngineOff
from bridge.node.decision import DecisionRule, Decisions
from bridge.node.line_book import KnownLine, LineBook
from bridge.node.lines import InboundAction, Lines
from bridge.node.manager import Manager
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

RELOAD_SECONDS = 5.0
"""A node may have missed a notification of another."""
REQUESTS: Mapping[InboundAction, events.Request] = {
    InboundAction.ANSWER: events.AnswerRequested(),
    InboundAction.REJECT: events.HangupRequested(EndReason.REJECTED),
}


class InboundPolicy:
    """Answers, rejects or lets ring the inbound calls of this node, and ends those of lines that go off."""

    def __init__(
        self,
        manager: Manager,
        lines: Lines,
        book: LineBook,
        rules: Mapping[LineName, DecisionRule] = MappingProxyType({}),
    ) -> None:
        """Apply the settings of the lines to the manager's calls; `rules` as for `Decisions`."""
        self._manager = manager
        self._lines = lines
        self._book = book
        self._decisions = Decisions(manager, rules)
        manager.publisher.subscribe(self._on_event)
        lines.follow_switch_off(self._end_calls)
        book.follow_changes(self._line_changed)

    async def follow(self) -> None:
        """Reload now and then what other nodes may have changed, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            try:
                await self._lines.reload()
                await self._book.reload()
            except Exception:  # the database may be back by the next time
                log.exception("lines.unreadable")

    def _on_event(self, event: CallEvent) -> None:
        self._decisions.on_event(event)
        call = event.call
        if event.type != EventType.CALL_RINGING or not call or call.direction != Direction.INBOUND:
            return
        line, call_id = LineName(event.line), CallId(call.id)
        if (wanted := REQUESTS.get(self._action(line))) is None:
            self._decisions.start(line, call_id)
        else:
            # The caller may have given up meanwhile.
            with suppress(BridgeError):
                self._manager.request(line, call_id, wanted)

    def _action(self, line: LineName) -> InboundAction:
        try:
            return self._lines.admit(line)
        except EngineOff:
            return InboundAction.REJECT

    def _line_changed(self, known: KnownLine | None, line: LineName) -> None:
        if known is None or known.paused:
            self._end_calls(line)

    def _end_calls(self, line: LineName) -> None:
        for runner in list(self._manager.calls()):
            if runner.facts.line == line:
                runner.dispatch(events.HangupRequested())
