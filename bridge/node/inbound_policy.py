"""Applies each line's settings to its calls, so that the call service knows nothing of them.

A line that is off rejects inbound calls, and its calls end when it is switched off (outbound calls are
refused by `Lines.check_on`). A line that is on lets inbound calls ring, answers or rejects them, at once
or when nobody has decided in time (`node.decision`).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from bridge.call import events
from bridge.call.model import CallId, Direction, EndReason, LineName
from bridge.errors import BridgeError, EngineOff
from bridge.net.database import Database
from bridge.net.siblings import Siblings
from bridge.node.decision import DecisionRule, Decisions
from bridge.node.line_book import KnownLine, LineBook
from bridge.node.lines import InboundAction, LineConfig, Lines
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
    """The settings of all lines, applied to the calls of this node."""

    def __init__(
        self,
        database: Database,
        numbers: Mapping[LineName, Sequence[str]],
        *,
        fresh: Mapping[LineName, LineConfig] = MappingProxyType({}),
        decisions: Mapping[LineName, DecisionRule] = MappingProxyType({}),
        book: LineBook,
        siblings: Siblings | None = None,
    ) -> None:
        """Make it.

        Args:
            database: stores the lines' settings.
            numbers: the lines' own numbers.
            fresh: settings of lines that were never configured; the default settings for others.
            decisions: how long each line's server has to decide about a ringing call.
            book: knows which lines exist and which are paused.
            siblings: the other nodes.
        """
        self.lines = Lines(
            database,
            numbers,
            fresh=fresh,
            switched_off=self._end_calls,
            paused=book.paused,
            siblings=siblings,
        )
        self.book = book
        """Which lines there are."""
        book.follow_changes(self._line_changed)
        self._decisions = Decisions(decisions, request=self._request, publish=self._publish)
        self._manager: Manager | None = None

    def serve(self, manager: Manager) -> None:
        """Apply the policy to the calls of this manager from now on."""
        self._manager = manager
        manager.publisher.subscribe(self._on_event)

    async def follow(self) -> None:
        """Reload now and then what other nodes may have changed, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            try:
                await self.lines.reload()
                await self.book.reload()
            except Exception:  # the database may be back by the next time
                log.exception("lines.unreadable")

    def _on_event(self, event: CallEvent) -> None:
        self._decisions.on_event(event)
        call = event.call
        if event.type != EventType.CALL_RINGING or not call or call.direction != Direction.INBOUND:
            return
        line, call_id = LineName(event.line), CallId(call.id)
        wanted = REQUESTS.get(self._action(line))
        if wanted is None:
            self._decisions.start(line, call_id)
        else:
            self._request(line, call_id, wanted)

    def _action(self, line: LineName) -> InboundAction:
        try:
            return self.lines.admit(line)
        except EngineOff:
            return InboundAction.REJECT

    def _request(self, line: LineName, call_id: CallId, wanted: events.Request) -> None:
        # The caller may have given up meanwhile.
        with suppress(BridgeError):
            if self._manager is not None:
                self._manager.request(line, call_id, wanted)

    def _publish(
        self, kind: EventType, line: LineName, call_id: CallId, data: Mapping[str, Any]
    ) -> None:
        if self._manager is not None:
            self._manager.publish(kind, line, call_id, data)

    def _line_changed(self, known: KnownLine | None, line: LineName) -> None:
        if known is None or known.paused:
            self._end_calls(line)

    def _end_calls(self, line: LineName) -> None:
        runners = list(self._manager.calls()) if self._manager is not None else []
        for runner in runners:
            if runner.facts.line == line:
                runner.dispatch(events.HangupRequested())
