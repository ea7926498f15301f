"""The thread that writes to the database, in transactions of all that is queued.

It has one of three states, which it alone changes:

    event                                             REACHED    LOST        RETURNED
    the connection fails, or the spool                LOST       -           LOST
    the connector's thread has a connection           -          RETURNED    -
    the spool is empty, or its oldest page written    -          -           REACHED

REACHED: what is queued is written; payloads go to the spool while older ones wait there, and it is replayed page by
page, in order. LOST: payloads are kept in the spool, and functions wait for `FAIL_SECONDS`; a second thread, the
connector, looks for a connection. RETURNED: as REACHED, but nobody has been told yet.

Threads share `WriteQueue`, the future in which the connector leaves its connection, and `_adopts`; who changes one of
the last two wakes the queue.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from enum import Enum, auto
from typing import Final

from bridge.backoff import Backoff
from bridge.db.group import (
    Handler,
    Item,
    Marker,
    Outcome,
    Payload,
    Work,
    WriteQueue,
    reason_of,
    transact,
)
from bridge.db.health import FAIL_SECONDS, DatabaseHealth
from bridge.db.session import Engine, Session
from bridge.db.spool import Spool, replay
from bridge.errors import BridgeError, DatabaseFailed, DatabaseLost

log = logging.getLogger(__name__)

REPLAYED: Final = 200
"""Spooled payloads in one transaction."""
PING_SECONDS: Final = 1.0
"""An idle connection is tried so often."""
PING_LIMIT_SECONDS: Final = 3.0
"""How long an idle server may take to answer."""
RECONNECT: Final = Backoff(0.1, 1.0)
"""Between attempts to reach the database."""
CRASH_SECONDS: Final = 1.0
"""After an error that nobody expects."""


class State(Enum):
    """How the thread finds the database."""

    REACHED = auto()
    LOST = auto()
    RETURNED = auto()


class Writer:
    """The thread, its connection, and what is queued."""

    def __init__(
        self,
        engine: Engine,
        spool: Spool | None,
        handlers: Mapping[str, Handler],
        health: DatabaseHealth,
    ) -> None:
        """Start the thread and wait until it has opened the database.

        Raises:
            SetupError: it cannot be opened.
        """
        self.queue = WriteQueue()
        self._engine = engine
        self._spool = spool
        self._handlers = handlers
        self._health = health
        self._held: deque[Work] = deque()
        """Functions that wait for the database to come back."""
        self._adopts = False
        """Whether the spool is to take over what processes that have ended left there."""
        self._state = State.REACHED
        self._session: Session
        self._connecting: Future[Session]
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(opened,), name="database", daemon=True
        )
        self._thread.start()
        opened.result()

    def adopt(self) -> None:
        """Replay what earlier processes have left in the spool."""
        self._adopts = True
        self.queue.wake()

    def close(self) -> None:
        """Do what is queued, then end; may be called twice."""
        self.queue.close()
        self._thread.join()

    def _serve(self, opened: "Future[None]") -> None:
        try:
            self._session = self._engine.open()
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        while self._step_or_log():
            pass
        self._health.finished([(one.report, None, _unreachable()) for one in self._held])
        if self._state is not State.LOST:
            self._session.close()
        elif not self._connecting.cancel():
            self._connecting.result().close()
        if self._spool is not None:
            self._spool.close()

    def _step_or_log(self) -> bool:
        try:
            return self._step()
        except Exception:  # must not end the thread, for which everybody would wait for ever
            log.exception("database.crashed")
            self.queue.done()
            return not self.queue.closing.wait(CRASH_SECONDS)

    def _step(self) -> bool:
        """Do what there is to do; return whether there may be more."""
        items = self.queue.take(self._wait_seconds())
        if self._state is State.LOST and self._connecting.done():
            self._session, self._state = self._connecting.result(), State.RETURNED
            self._adopts = True
        if self._state is State.LOST:
            self._keep(items)
        else:
            self._adopt_spooled()
            self._write(items)
        return self.queue.done()

    def _wait_seconds(self) -> float | None:
        """Return how long there is nothing to do until something is queued."""
        if self._state is State.LOST:
            since = self._held[0].since if self._held else None
            return None if since is None else max(0.0, since + FAIL_SECONDS - time.monotonic())
        if self._spooled:
            return 0.0
        return PING_SECONDS if self._engine.remote else None

    @property
    def _spooled(self) -> int:
        return self._spool.waiting if self._spool is not None else 0

    def _adopt_spooled(self) -> None:
        if self._spool is not None and self._adopts:
            self._adopts = False
            try:
                self._spool.adopt()
            except DatabaseFailed as error:
                log.error("database.spool_read_failed", exc_info=error)

    def _keep(self, items: Sequence[Item]) -> None:
        """Do what can be done without the database."""
        self._held += [one for one in items if isinstance(one, Work)]
        self._spool_all([one for one in items if isinstance(one, Payload)])
        outcomes: list[Outcome] = [
            (one.report, None, None) for one in items if isinstance(one, Marker)
        ]
        while self._held and self._held[0].since + FAIL_SECONDS <= time.monotonic():
            outcomes.append((self._held.popleft().report, None, _unreachable()))
        self._health.finished(outcomes)

    def _write(self, items: Sequence[Item]) -> None:
        """Do what is queued, or replay a page of the spool, or see whether the database is there."""
        if self._spool is not None and self._spool.waiting:
            self._spool_all([one for one in items if isinstance(one, Payload)])
            items = [one for one in items if not isinstance(one, Payload)]
            if not self._replay(self._spool):
                self._keep(items)
                return
        if self._state is State.RETURNED:
            self._state = State.REACHED
            self._health.returned()
        group: list[Item] = [*self._held, *items]
        self._held.clear()
        if group:
            self._perform_group(group)
        elif self._engine.remote and not self._spooled:
            try:
                self._session.ping(PING_LIMIT_SECONDS)
            except DatabaseFailed as error:
                self._lose(error)

    def _perform_group(self, group: Sequence[Item]) -> None:
        began = time.monotonic()
        try:
            outcomes = transact(self._session, group, self._handlers)
        except Exception as error:
            self._fail_group(group, _as_failure(error))
            return
        self._health.committed(time.monotonic() - began)
        self._health.finished(outcomes)

    def _fail_group(self, group: Sequence[Item], error: DatabaseFailed) -> None:
        payloads = [one for one in group if isinstance(one, Payload)]
        if isinstance(error, DatabaseLost):
            self._lose(error)
            self._spool_all(payloads)
        elif 0 < len(payloads) < len(group):
            self._perform_group(payloads)
        else:
            self._health.finished([(one.report, None, error) for one in payloads])
        self._health.finished(
            [
                (one.report, None, error if isinstance(one, Work) else None)
                for one in group
                if not isinstance(one, Payload)
            ]
        )

    def _replay(self, spool: Spool) -> bool:
        """Write the oldest page of the spool; return False if the database was lost."""
        try:
            page = spool.page(REPLAYED)
            refused = replay(self._session, page, self._handlers)
            self._health.metrics.spool_refused(amount=len(refused))
            spool.remove(page, refused)
        except DatabaseFailed as error:
            # What cannot be read must not be overtaken by newer payloads: nothing is written before it. What cannot
            # be removed is replayed once more, which the handlers must bear.
            self._lose(error)
        self._health.spooled(spool.waiting)
        return self._state is not State.LOST

    def _spool_all(self, payloads: Sequence[Payload]) -> None:
        """Keep payloads on the local disk."""
        if not payloads:
            return
        kept = 0
        error: DatabaseFailed = DatabaseFailed(
            "the database is unreachable, and the spool in data.dir is full: free disk space"
        )
        if self._spool is not None:
            try:
                kept = self._spool.add([(one.kind, one.body) for one in payloads])
            except DatabaseFailed as failure:
                error = failure
            self._health.spooled(self._spool.waiting)
        if kept < len(payloads):
            self._health.metrics.spool_dropped(amount=len(payloads) - kept)
        self._health.finished(
            [
                (one.report, None, None if number < kept else error)
                for number, one in enumerate(payloads)
            ]
        )

    def _lose(self, error: DatabaseFailed) -> None:
        """Give up the connection, and begin to look for another."""
        if self._state is State.REACHED:
            log.warning("database.lost", extra={"reason": reason_of(error)})
            self._health.lost()
        self._state = State.LOST
        self._connecting = Future()
        threading.Thread(
            target=self._connect, args=(self._connecting,), name="database-connector", daemon=True
        ).start()
        self._session.close()

    def _connect(self, found: "Future[Session]") -> None:
        """Look for a connection until there is one, or the queue is closed; the connector's thread."""
        failures, refusal = 1, ""
        while not self.queue.closing.wait(RECONNECT.after(failures)):
            try:
                session = self._engine.connect()
            except BridgeError as error:
                failures += 1
                if not isinstance(error, DatabaseLost) and str(error) != refusal:
                    refusal = str(error)
                    log.error("database.connection_refused", extra={"reason": refusal})
            except Exception:  # must not end the attempts
                failures += 1
                log.exception("database.crashed")
            else:
                try:
                    found.set_result(session)
                except InvalidStateError:  # the writer has ended
                    session.close()
                self.queue.wake()
                return


def _unreachable() -> DatabaseLost:
    return DatabaseLost("the database cannot be reached")


def _as_failure(error: Exception) -> DatabaseFailed:
    if isinstance(error, DatabaseFailed):
        return error
    log.error("database.crashed", exc_info=error)
    return DatabaseFailed("the transaction was rolled back")
