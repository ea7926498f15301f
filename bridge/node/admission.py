"""Admits new calls: limits of this node and over all nodes, overload, shutdown."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from bridge.call.model import CallDetails, CallFacts, CallId, Direction, LineName
from bridge.call.parties import with_own_number
from bridge.call.quota import Quota
from bridge.cluster.directory import SharedDirectory
from bridge.errors import LimitExceeded
from bridge.metrics.calls import CallMetrics
from bridge.node.running_legs import draining


class Admission:
    """Counts calls that are about to start; refusals are counted in `bridge_calls_refused_total`."""

    def __init__(  # noqa: PLR0913 - keyword only
        self,
        *,
        quota: Quota,
        metrics: CallMetrics,
        directory: SharedDirectory | None = None,
        check_on: Callable[[LineName], None] = lambda line: None,
        number_of: Callable[[LineName], str] = lambda line: "",
        overloaded: Callable[[], str] = lambda: "",
        database_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        """`directory` is None for a single node.

        `check_on` raises `LineDisabled` while a line makes no calls; `number_of` returns a line's own number with `+`;
        `overloaded` returns why new calls are refused, empty while they are taken.
        """
        self.quota = quota
        self.check_on = check_on
        self._metrics = metrics
        self.directory = directory
        self.number_of = number_of
        self.overloaded = overloaded
        self.database_lost = database_lost
        self.draining = False
        """Whether new calls are left to other nodes."""
        self.held = False
        """Whether other nodes are not to leave new calls to this one yet, as in an upgrade that may fail."""
        self.finishing = False
        """Whether requests that came before the drain may still begin their calls."""

    def check(self, line: LineName, *, of_line: int, of_all: int) -> None:
        """Check that this node takes one more call of a line that has `of_line` of its `of_all` calls.

        Raises:
            LimitExceeded: it does not.
        """
        try:
            if self.draining and not self.finishing:
                raise draining()
            if self.database_lost():
                raise LimitExceeded(
                    "the database cannot be reached; calls go on, but no new ones are taken",
                    limit="database",
                )
            self.quota.check(of_line=of_line, of_all=of_all)
            if reason := self.overloaded():
                raise LimitExceeded(reason, limit="overload")
        except LimitExceeded as error:
            self._metrics.refused(error.limit)
            raise

    async def count(
        self, line: LineName, peer: str, direction: Direction, details: CallDetails
    ) -> CallFacts:
        """Count a call over all nodes, and give it its id.

        Raises:
            LimitExceeded: the nodes take no more.
        """
        call_id = _call_id(self.directory.node if self.directory else 0)
        known = with_own_number(details, direction, self.number_of(line))
        facts = CallFacts(
            call_id=call_id, line=line, peer=peer, started_at=datetime.now(UTC), details=known
        )
        if self.directory is not None:
            try:
                await self.directory.insert(facts, direction)
            except LimitExceeded as error:
                self._metrics.refused(error.limit)
                raise
        return facts

    def uncount(self, facts: CallFacts) -> None:
        """Uncount a call that has not started, or is to be forgotten."""
        if self.directory is not None:
            self.directory.delete(facts.call_id)


def _call_id(node: int) -> CallId:
    """Return a new id; its first byte is the node that owns the call."""
    return CallId(f"{node:02X}" + secrets.token_hex(15).upper())
