"""Whether the database can be reached: reported by the writer's thread, known in the event loop."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

from bridge.db.group import Outcome
from bridge.db.readers import Readers
from bridge.metrics.database import DatabaseMetrics

log = logging.getLogger(__name__)

FAIL_SECONDS: Final = 5.0
"""How long a function waits for a database that cannot be reached."""


class DatabaseHealth:
    """What one process knows of its database; made within the loop."""

    def __init__(self, metrics: DatabaseMetrics, readers: Readers | None) -> None:
        self.metrics = metrics
        """May be set from any thread."""
        self.available = asyncio.Event()
        """Set while the database can be reached."""
        self.available.set()
        self.followers: list[Callable[[], None]] = []
        """Called whenever what was spooled has been written, or the database is back."""
        self._readers = readers
        self._loop = asyncio.get_running_loop()
        self._unreachable_since = 0.0

    @property
    def refuses(self) -> bool:
        """Whether it could not be reached for so long that new calls are refused."""
        return not self.available.is_set() and self._unreachable_seconds >= FAIL_SECONDS

    @property
    def _unreachable_seconds(self) -> float:
        return self._loop.time() - self._unreachable_since

    # Called by the writer's thread.

    def finished(self, outcomes: list[Outcome]) -> None:
        """Report what has become of items."""
        if outcomes:
            self._in_loop(_report, outcomes)

    def committed(self, seconds: float) -> None:
        """Count a transaction that took so long, and the connections."""
        self.metrics.commit_seconds(seconds)
        readers = self._readers.open if self._readers is not None else 0
        self.metrics.set_connections(readers + self.available.is_set())

    def lost(self) -> None:
        """Note that the database cannot be reached."""
        self._in_loop(self._lost)

    def returned(self) -> None:
        """Note that it can be reached, and has taken what was spooled first."""
        self._in_loop(self._returned)

    def spooled(self, waiting: int) -> None:
        """Note how many payloads wait on the local disk."""
        self._in_loop(self._spooled, waiting)

    def _in_loop(self, function: Callable[..., None], *values: Any) -> None:  # noqa: ANN401
        with contextlib.suppress(RuntimeError):  # the loop may be closed
            self._loop.call_soon_threadsafe(function, *values)

    def _lost(self) -> None:
        self._unreachable_since = self._loop.time()
        self.available.clear()
        self.metrics.set_up(0)

    def _returned(self) -> None:
        log.warning("database.reconnected", extra={"seconds": round(self._unreachable_seconds, 1)})
        self.available.set()
        self.metrics.set_up(1)
        self._notify()

    def _spooled(self, waiting: int) -> None:
        self.metrics.set_spooled(waiting)
        if not waiting:
            self._notify()

    def _notify(self) -> None:
        for follower in self.followers:
            follower()


def _report(outcomes: list[Outcome]) -> None:
    for report, result, error in outcomes:
        report(result, error)
