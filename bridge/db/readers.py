"""Connections for reading beside the one that writes, each used by one thread at a time."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from bridge.db.session import Connection, Engine, Session
from bridge.errors import DatabaseFailed, DatabaseLost, SetupError

MAX_READS: Final = 10_000
"""Queued functions; more are refused."""

Result = TypeVar("Result")


class Readers:
    """A few connections, made when they are first needed."""

    def __init__(self, engine: Engine, count: int) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="database-reader")
        self._idle: list[Session] = []
        self._lock = threading.Lock()
        self._queued = 0
        self.open = 0
        """How many connections are open."""

    async def run(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction that only reads.

        Raises:
            DatabaseFailed: the database cannot do it, or too many wait.
            Exception: whatever `work` raised.
        """
        if self._queued >= MAX_READS:
            raise DatabaseFailed("the database queue is full")
        self._queued += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._run, work)
        finally:
            self._queued -= 1

    async def aclose(self) -> None:
        """Close the connections once they are idle."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        while self._idle:
            self._end(self._idle.pop())

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is not None:
            with contextlib.suppress(DatabaseLost):
                return self._read(session, work)
            # It was lost while it was idle, maybe long ago.
        try:
            session = self._engine.connect()
        except SetupError as error:
            raise DatabaseLost("the database refuses the connection") from error
        with self._lock:
            self.open += 1
        return self._read(session, work)

    def _end(self, session: Session) -> None:
        with self._lock:
            self.open -= 1
        session.close()

    def _read(self, session: Session, work: Callable[[Connection], Result]) -> Result:
        try:
            session.begin_reading()
            result = work(session)
            session.commit()
        except DatabaseLost:
            self._end(session)
            raise
        except BaseException:
            try:
                session.rollback()
            except DatabaseFailed:
                self._end(session)
            else:
                self._put_back(session)
            raise
        self._put_back(session)
        return result

    def _put_back(self, session: Session) -> None:
        with self._lock:
            self._idle.append(session)
