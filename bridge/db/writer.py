"""The thread that writes to the database, in transactions of all that is queued.

While the database cannot be reached, payloads are kept in the spool and functions wait for `FAIL_SECONDS`. Once it
is back the spool is replayed in order, before newer payloads; what is new meanwhile goes behind it.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Final, Protocol

from bridge.db.group import (
    Handler,
    Item,
    Marker,
    Outcome,
    Payload,
    Work,
    perform,
    reason_of,
)
from bridge.db.session import Engine, Session
from bridge.db.spool import Spool
from bridge.db.spool_replay import replay
from bridge.errors import BridgeError, DatabaseFailed, DatabaseLost

log = logging.getLogger(__name__)

MAX_WAITING: Final = 100_000
"""Queued items; more are dropped, logged and counted."""
GROUP: Final = 1000
"""Items in one transaction."""
REPLAYED: Final = 200
"""Spooled payloads in one transaction."""
FAIL_SECONDS: Final = 5.0
"""How long a function waits for a database that cannot be reached."""
PING_SECONDS: Final = 1.0
"""An idle connection is tried so often."""
PING_LIMIT_SECONDS: Final = 3.0
"""How long an idle server may take to answer."""
MAX_PAUSE_SECONDS: Final = 1.0
"""Between attempts to reach the database."""


class Observer(Protocol):
    """Is told by the thread how the database is; must not wait."""

    def finished(self, outcomes: list[Outcome]) -> None:
        """Take what has become of items."""

    def committed(self, seconds: float) -> None:
        """Note how long a transaction has taken."""

    def lost(self) -> None:
        """Note that the database cannot be reached."""

    def returned(self) -> None:
        """Note that it can be reached, and has taken what was spooled first."""

    def spooled(self, waiting: int) -> None:
        """Note how many payloads are in the spool."""

    def dropped(self, count: int) -> None:
        """Note that payloads were lost, for want of room."""

    def refused(self) -> None:
        """Note that a spooled payload was refused, and is kept aside."""


class Writer:
    """The thread, its connection, and what is queued."""

    def __init__(
        self, engine: Engine, spool: Spool | None, handlers: Mapping[str, Handler], to: Observer
    ) -> None:
        """Start the thread and wait until it has opened the database.

        Raises:
            SetupError: it cannot be opened.
        """
        self._engine = engine
        self._spool = spool
        self._handlers = handlers
        self._to = to
        self._queue: deque[Item] = deque()
        self._held: deque[Work] = deque()
        """Functions that wait for the database to come back."""
        self._changed = threading.Condition()
        self._committing = False
        self._closed = False
        self._adopts = False
        self._session: Session | None = None
        self._fresh: Session | None = None
        self._announced = True
        """Whether the observer knows that the database can be reached."""
        self._ended = threading.Event()
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(opened,), name="database", daemon=True
        )
        self._thread.start()
        opened.result()

    @property
    def busy(self) -> bool:
        """Whether items are queued or being committed."""
        with self._changed:
            return not self._closed and bool(self._queue or self._committing)

    def put(self, item: Item) -> bool:
        """Queue an item; False when there are too many, or the thread is to end."""
        with self._changed:
            accepted = not self._closed and len(self._queue) < MAX_WAITING
            if accepted:
                self._queue.append(item)
                self._changed.notify()
        return accepted

    def adopt(self) -> None:
        """Replay what earlier processes have left in the spool."""
        with self._changed:
            self._adopts = self._spool is not None
            self._changed.notify()

    def close(self) -> None:
        """Do what is queued, then end; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._ended.set()
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
        self._finish([(one.report, None, _unreachable()) for one in self._held])
        for session in (self._session, self._fresh):
            if session is not None:
                session.close()
        if self._spool is not None:
            self._spool.close()

    def _step_or_log(self) -> bool:
        try:
            return self._step()
        except Exception:  # must not end the thread, for which everybody would wait for ever
            log.exception("database.crashed")
            self._committing = False
            return not self._ended.wait(MAX_PAUSE_SECONDS)

    def _step(self) -> bool:
        """Do what there is to do; return whether there may be more."""
        items = self._take()
        if self._session is None:
            self._keep(items)
        else:
            if self._adopts and self._spool is not None:
                self._adopts = False
                try:
                    self._spool.adopt()
                except DatabaseFailed as error:
                    log.error("database.spool_unreadable", exc_info=error)
            self._write(self._session, items)
        with self._changed:
            self._committing = False
            return bool(self._queue) or not self._closed

    def _take(self) -> list[Item]:
        """Return what is queued, or nothing when something else is to be done."""
        with self._changed:
            if not self._queue and not self._closed and self._fresh is None and not self._adopts:
                self._changed.wait(self._patience())
            if self._fresh is not None:
                self._session, self._fresh = self._fresh, None
            count = min(GROUP, len(self._queue))
            self._committing = count > 0
            return [self._queue.popleft() for _ in range(count)]

    def _patience(self) -> float | None:
        if self._session is None:
            since = self._held[0].since if self._held else None
            return None if since is None else max(0.0, since + FAIL_SECONDS - time.monotonic())
        if self._spooled:
            return 0.0
        return PING_SECONDS if self._engine.remote else None

    @property
    def _spooled(self) -> int:
        return self._spool.waiting if self._spool is not None else 0

    def _keep(self, items: Sequence[Item]) -> None:
        """Do what can be done without the database."""
        self._held += [one for one in items if isinstance(one, Work)]
        self._spool_all([one for one in items if isinstance(one, Payload)])
        outcomes: list[Outcome] = [
            (one.report, None, None) for one in items if isinstance(one, Marker)
        ]
        while self._held and self._held[0].since + FAIL_SECONDS <= time.monotonic():
            outcomes.append((self._held.popleft().report, None, _unreachable()))
        self._finish(outcomes)

    def _write(self, session: Session, items: Sequence[Item]) -> None:
        """Do what is queued, or replay a page of the spool, or see whether the database is there."""
        if self._spooled:
            self._spool_all([one for one in items if isinstance(one, Payload)])
            items = [one for one in items if not isinstance(one, Payload)]
            self._replay(session)
            if self._session is None:
                self._keep(items)
                return
        if not self._announced:
            self._announced = True
            self._to.returned()
        group: list[Item] = [*self._held, *items]
        self._held.clear()
        if group:
            self._perform_group(session, group)
        elif self._engine.remote and not self._spooled:
            try:
                session.ping(PING_LIMIT_SECONDS)
            except DatabaseFailed as error:
                self._lose(session, error)

    def _perform_group(self, session: Session, group: Sequence[Item]) -> None:
        began = time.monotonic()
        try:
            session.begin()
            outcomes = perform(session, group, self._handlers)
            session.commit()
        except Exception as error:
            with contextlib.suppress(DatabaseFailed):
                session.rollback()
            self._fail_group(session, group, _as_failure(error))
            return
        self._to.committed(time.monotonic() - began)
        self._finish(outcomes)

    def _fail_group(self, session: Session, group: Sequence[Item], error: DatabaseFailed) -> None:
        payloads = [one for one in group if isinstance(one, Payload)]
        if isinstance(error, DatabaseLost):
            self._lose(session, error)
            self._spool_all(payloads)
        elif 0 < len(payloads) < len(group):
            self._perform_group(session, payloads)
        else:
            self._finish([(one.report, None, error) for one in payloads])
        self._finish(
            [
                (one.report, None, error if isinstance(one, Work) else None)
                for one in group
                if not isinstance(one, Payload)
            ]
        )

    def _replay(self, session: Session) -> None:
        """Write the oldest page of the spool."""
        assert self._spool is not None
        try:
            page = self._spool.page(REPLAYED)
        except DatabaseFailed as error:
            # Newer payloads must not overtake it: nothing is written before it can be read.
            self._lose(session, error)
            return
        try:
            refused = replay(session, page, self._handlers)
        except DatabaseLost as error:
            self._lose(session, error)
            return
        for _ in refused:
            self._to.refused()
        try:
            self._spool.remove(page, refused)
        except DatabaseFailed as error:
            # It is replayed once more, which the handlers must bear.
            self._lose(session, error)
        self._to.spooled(self._spool.waiting)

    def _spool_all(self, payloads: Sequence[Payload]) -> None:
        """Keep payloads on the local disk."""
        if not payloads:
            return
        kept = 0
        error: DatabaseFailed = DatabaseFailed("there is no more room for what waits on disk")
        if self._spool is not None:
            try:
                kept = self._spool.add([(one.kind, one.body) for one in payloads])
            except DatabaseFailed as failure:
                error = failure
            self._to.spooled(self._spool.waiting)
        if kept < len(payloads):
            self._to.dropped(len(payloads) - kept)
        self._finish(
            [
                (one.report, None, None if number < kept else error)
                for number, one in enumerate(payloads)
            ]
        )

    def _lose(self, session: Session, error: DatabaseFailed) -> None:
        """Give up the connection, and begin to look for another."""
        if self._announced:
            log.warning("database.lost", extra={"reason": reason_of(error)})
            self._announced = False
            self._to.lost()
        self._session = None
        session.close()
        threading.Thread(target=self._reconnect, name="database-connector", daemon=True).start()

    def _reconnect(self) -> None:
        pause, refusal = 0.1, ""
        while not self._ended.wait(pause):
            try:
                session = self._engine.connect()
            except BridgeError as error:
                if not isinstance(error, DatabaseLost) and str(error) != refusal:
                    refusal = str(error)
                    log.error("database.refuses", extra={"reason": refusal})
                pause = min(2 * pause, MAX_PAUSE_SECONDS)
                continue
            except Exception:  # must not end the attempts
                log.exception("database.crashed")
                pause = MAX_PAUSE_SECONDS
                continue
            with self._changed:
                if not self._closed:
                    self._fresh = session
                    self._adopts = self._spool is not None
                    self._changed.notify()
                    return
            session.close()

    def _finish(self, outcomes: list[Outcome]) -> None:
        if outcomes:
            self._to.finished(outcomes)


def _unreachable() -> DatabaseLost:
    return DatabaseLost("the database cannot be reached")


def _as_failure(error: Exception) -> DatabaseFailed:
    if isinstance(error, DatabaseFailed):
        return error
    log.error("database.crashed", exc_info=error)
    return DatabaseFailed("the transaction was rolled back")
