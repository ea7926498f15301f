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
from bridge.node.runner import draining


class Admission:
    """Counts calls that are about to start; refusals are counted in `bridge_calls_refused_total`."""

    def __init__(
        self,
        *,
        quota: Quota,
        metrics: CallMetrics,
        directory: SharedDirectory | None,
        number_of: Callable[[LineName], str],
        overloaded: Callable[[], str],
        database_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        """Make it; `directory` is None for a single node.

        `overloaded` returns why new calls are refused, empty while they are taken.
        """
        self._quota = quota
        self._metrics = metrics
        self._directory = directory
        self._number_of = number_of
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
            self._quota.check(of_line=of_line, of_all=of_all)
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
        call_id = _call_id(self._directory.node if self._directory else 0)
        known = with_own_number(details, direction, self._number_of(line))
        facts = CallFacts(call_id, line, peer, datetime.now(UTC), known)
        if self._directory is not None:
            try:
                await self._directory.insert(facts, direction)
            except LimitExceeded as error:
                self._metrics.refused(error.limit)
                raise
        return facts

    def uncount(self, facts: CallFacts) -> None:
        """Uncount a call that has not started, or is to be forgotten."""
        if self._directory is not None:
            self._directory.delete(facts.call_id)


def _call_id(node: int) -> CallId:
    """Return a new id; its first byte is the node that owns the call."""
    return CallId(f"{node:02X}" + secrets.token_hex(15).upper())
