"""The file that keeps what must outlive the process: one SQLite database, one thread at it.

Works wait in a queue; the thread takes all that are there, runs them one after the other in one
transaction and commits once, so a disk that takes long to sync makes the groups larger and not the
queue longer. Each work has a savepoint: one that fails undoes itself and nobody else. Several
processes may use the same file; they wait for each other.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bridge.errors import DatabaseFailed

log = logging.getLogger(__name__)

FILE = "bridge.sqlite3"
"""Below the data folder."""
BUSY_SECONDS = 5.0
"""How long one attempt waits for another process's transaction."""
ATTEMPTS = 6
MAX_WAITING = 100_000
"""Queued works; more are dropped, logged and counted."""
GROUP = 1000
"""Works in one transaction."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Work:
    perform: Callable[[sqlite3.Connection], Any]
    report: Callable[[Any, BaseException | None], None] | None
    """Called in the loop with the outcome."""
    waited: bool
    """Whether the caller gets the failure; else it is logged and counted."""


class Database:
    """One process's connection to the file."""

    def __init__(self, path: Path, *, on_failure: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._on_failure = on_failure
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[_Work] = deque()
        self._changed = threading.Condition()
        self._committing = False
        self._closed = False
        self._connection = _connect(path)
        self._thread = threading.Thread(target=self._serve, name="database", daemon=True)
        self._thread.start()

    def create(self, schema: str) -> None:
        """Run a script that creates missing tables; waits for the disk (start-up only)."""
        connection = _connect(self._path)
        try:
            _retry_locked(lambda: connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;"))
        finally:
            connection.close()

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in a transaction, in order; it is on disk when this returns.

        `work` runs in the database's thread and must not begin or end transactions. Cancelled, it
        may still be committed.

        Raises:
            DatabaseFailed: it could not be committed.
            Exception: whatever `work` raised; it is rolled back.
        """
        self._loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = self._loop.create_future()

        def report(result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - `work`'s own
            if outcome.done():
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

        if not self._enqueue(_Work(work, report, waited=True)):
            raise DatabaseFailed("the database takes no more work")
        return await outcome

    def post(
        self,
        work: Callable[[sqlite3.Connection], None],
        *,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Queue `work` without waiting; a failure is logged and counted.

        Args:
            work: as for `run`.
            then: called in the loop once it is on disk; not if it failed.
        """

        def report(_: object, error: BaseException | None) -> None:
            if error is None and then is not None:
                then()

        if then is not None:
            self._loop = asyncio.get_running_loop()
        if not self._enqueue(_Work(work, report if then is not None else None, waited=False)):
            self._failed(DatabaseFailed("the database takes no more work"))

    async def settled(self) -> None:
        """Wait until everything queued before is on disk, or has failed."""
        with self._changed:
            if self._closed or not (self._waiting or self._committing):
                return
        await self.run(lambda _: None)

    async def aclose(self) -> None:
        """Run what is queued, then close the file; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _enqueue(self, work: _Work) -> bool:
        with self._changed:
            if self._closed or len(self._waiting) >= MAX_WAITING:
                return False
            self._waiting.append(work)
            self._changed.notify()
            return True

    def _serve(self) -> None:
        while group := self._take():
            outcomes = self._perform(group)
            with self._changed:
                self._committing = False
            if self._loop is not None and any(outcome.work.report for outcome in outcomes):
                # The loop may be closed.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(_report, outcomes)
        self._connection.close()

    def _take(self) -> list[_Work]:
        """Return all queued works, at least one; none once closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            count = min(GROUP, len(self._waiting))
            self._committing = count > 0
            return [self._waiting.popleft() for _ in range(count)]

    def _perform(self, group: list[_Work]) -> list["_Outcome"]:
        try:
            _retry_locked(lambda: self._connection.execute("BEGIN IMMEDIATE"))
            outcomes = [self._perform_one(work) for work in group]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            failure = DatabaseFailed("the database could not keep what was to be kept")
            failure.__cause__ = error
            outcomes = [_Outcome(work, None, failure) for work in group]
        for outcome in outcomes:
            if outcome.error is not None and not outcome.work.waited:
                self._failed(outcome.error)
        return outcomes

    def _perform_one(self, work: _Work) -> "_Outcome":
        self._connection.execute("SAVEPOINT work")
        try:
            result = work.perform(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                # SQLite has rolled back the whole transaction (a full disk).
                raise sqlite3.OperationalError("the transaction was rolled back") from error
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            return _Outcome(work, None, error)
        self._connection.execute("RELEASE work")
        return _Outcome(work, result, None)

    def _failed(self, error: BaseException) -> None:
        log.error("database.failed", exc_info=error)
        self._on_failure()


@dataclass(frozen=True, slots=True)
class _Outcome:
    work: _Work
    result: Any
    error: BaseException | None


def _report(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        if outcome.work.report is not None:
            outcome.work.report(outcome.result, outcome.error)


def _connect(path: Path) -> sqlite3.Connection:
    # Isolation level None: transactions begin explicitly.
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # Two processes that do this first at the same time do not wait for each other.
    _retry_locked(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _retry_locked(attempt: Callable[[], object]) -> None:
    """Retry while another process locks the file for longer than SQLite waits."""
    for left in reversed(range(ATTEMPTS)):
        try:
            attempt()
        except sqlite3.OperationalError as error:
            if left == 0 or error.sqlite_errorcode not in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_BUSY_SNAPSHOT,
            ):
                raise
            time.sleep(0.05)
        else:
            return
