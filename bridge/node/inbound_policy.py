"""The call engine of each line: keeps what happens to its calls to how the line is set.

It hears what happens to calls, so that the call service knows nothing of the lines' settings: a line
whose engine is off rejects who rings it (that it begins no calls itself is the service's to ask
`Lines.check_on`), and its calls end when it is switched off; one that is on lets calls ring, or
answers or rejects them, at once or when nobody has decided in time (`node.decision`).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from bridge.call import events
from bridge.call.model import CallId, Direction, EndReason, LineName
from bridge.call.notices import CallEvent
from bridge.errors import BridgeError, EngineOff
from bridge.net.database import Database
from bridge.net.siblings import Siblings
from bridge.node.decision import DecisionRule, Decisions
from bridge.node.line_book import KnownLine, LineBook
from bridge.node.lines import InboundAction, LineConfig, Lines
from bridge.node.manager import Manager

log = logging.getLogger(__name__)

REQUESTS: Mapping[InboundAction, events.Request] = {
    InboundAction.ANSWER: events.AnswerRequested(),
    InboundAction.REJECT: events.HangupRequested(EndReason.REJECTED),
}


class InboundPolicy:
    """The engines of all lines on this node."""

    def __init__(  # noqa: PLR0913 - what the engines of lines are made of
        self,
        database: Database,
        numbers: Mapping[LineName, Sequence[str]],
        *,
        fresh: Mapping[LineName, LineConfig] = MappingProxyType({}),
        decisions: Mapping[LineName, DecisionRule] = MappingProxyType({}),
        publish: Callable[[CallEvent], None] = lambda event: None,
        book: LineBook,
        siblings: Siblings | None = None,
    ) -> None:
        """Make the lines.

        Args:
            database: keeps how they are set.
            numbers: their own numbers.
            fresh: how lines take calls that were never set; in the plain way where it is not told.
            decisions: how long each line's server has to decide about calls that ring.
            publish: hears all that happens, before anything is made of it here.
            book: knows which lines are paused, or no more.
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
        self._publish = publish
        self._decisions = Decisions(decisions, ask=self._ask, tell=publish)
        self._manager: Manager | None = None

    def serve(self, manager: Manager) -> None:
        """Look after the calls of this manager from now on."""
        self._manager = manager

    async def follow(self) -> None:
        """Look for what other nodes have changed, for ever."""
        await asyncio.gather(self.lines.follow(), self.book.follow())

    def happened(self, event: CallEvent) -> None:
        """Pass on what happened, and meet a call that begins to ring a line."""
        self._publish(event)
        self._decisions.happened(event)
        record = event.record
        if event.type != "call.ringing" or record is None or event.call_id is None:
            return
        if record.direction is not Direction.INBOUND:
            return
        wanted = REQUESTS.get(self._welcome(event.line))
        if wanted is None:
            self._decisions.rings(event, event.call_id)
        else:
            # Not at once: who reports this has yet to give the call its far party.
            asyncio.get_running_loop().call_soon(self._ask, event.line, event.call_id, wanted)

    def _welcome(self, line: LineName) -> InboundAction:
        try:
            return self.lines.admit(line)
        except EngineOff:
            return InboundAction.REJECT

    def _ask(self, line: LineName, call_id: CallId, wanted: events.Request) -> None:
        # The caller may have given up meanwhile.
        with suppress(BridgeError):
            if self._manager is not None:
                self._manager.request(line, call_id, wanted)

    def _line_changed(self, known: KnownLine | None, line: LineName) -> None:
        if known is None or known.paused:
            self._end_calls(line)

    def _end_calls(self, line: LineName) -> None:
        runners = list(self._manager.calls()) if self._manager is not None else []
        for runner in runners:
            if runner.facts.line == line:
                runner.dispatch(events.HangupRequested())
