"""What must outlive the process: one database, and one thread that writes to it.

Callers queue functions. The thread runs all that are queued in one transaction and commits once, so
a database that takes long to commit makes the groups larger and not the queue longer. Each function has a
savepoint: one that fails is rolled back alone. Several processes may use the same database; they wait for
each other.

The functions are the same for every engine (`db.sqlite`, `db.postgres`). What must not be lost is appended as bytes,
for a handler: while the database cannot be reached, it waits on the local disk (`db.spool`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import msgspec

from bridge.db.group import Handler, Item, Marker, Payload, Report, Work
from bridge.db.health import DatabaseHealth
from bridge.db.readers import Readers
from bridge.db.session import Connection as Connection
from bridge.db.session import Engine as Engine
from bridge.db.session import Values as Values
from bridge.db.session import count_rows as count_rows
from bridge.db.session import marks as marks
from bridge.db.session import transaction as transaction
from bridge.db.session import wall_time as wall_time
from bridge.db.spool import Spool
from bridge.db.writer import Writer
from bridge.errors import DatabaseFailed, DatabaseLost
from bridge.metrics.database import DatabaseMetrics, unseen

log = logging.getLogger(__name__)

STATEMENT: Final = "statement"
"""What `append_statement` appends."""

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


class Database:
    """One process's connection to the database."""

    def __init__(
        self,
        engine: Engine,
        *,
        on_failure: Callable[[], None] = lambda: None,
        spool: Path | None = None,
        readers: int = 0,
        metrics: DatabaseMetrics | None = None,
    ) -> None:
        """Open it within the running loop; `on_failure` counts what was posted and failed.

        `spool` is the folder for what waits while a remote database cannot be reached, `readers` how many
        connections `read` has there. Handlers must be set before the loop goes on.

        Raises:
            SetupError: it cannot be opened.
        """
        self._engine = engine
        self._on_failure = on_failure
        self._handlers: dict[str, Handler] = {STATEMENT: _execute}
        self._readers = Readers(engine, readers) if engine.remote and readers else None
        waiting = Spool(spool) if engine.remote and spool is not None else None
        self._health = DatabaseHealth(metrics or unseen(), self._readers)
        self._writer = Writer(engine, waiting, self._handlers, self._health)
        # Then those who use the database have set their handlers.
        asyncio.get_running_loop().call_soon(self._writer.adopt)

    @property
    def reachable(self) -> bool:
        """Whether the database can be reached."""
        return self._health.available.is_set()

    @property
    def refuses(self) -> bool:
        """Whether it could not be reached for so long that new calls are refused."""
        return self._health.refuses

    async def available(self, pause: float = 0.0) -> None:
        """Wait until the database can be reached, and `pause` seconds more: it may not take all connections at once."""
        await self._health.available.wait()
        if pause:
            await asyncio.sleep(pause)

    async def retry(self, work: Callable[[], Awaitable[None]], *, pause: float) -> None:
        """Do work that must not be lost with the database: again, `pause` seconds after it is back."""
        while True:
            try:
                return await work()
            except DatabaseLost:
                await self.available(pause)

    def follow(self, follower: Callable[[], None]) -> None:
        """Call a function whenever what was spooled has been written, or the database is back."""
        self._health.followers.append(follower)

    def handle(self, kind: str, handler: Handler) -> None:
        """Set what writes the payloads that are appended as `kind`.

        After a failure it may get a payload again that it has written: it must then change nothing.
        """
        self._handlers[kind] = handler

    def append(
        self,
        kind: str,
        payload: bytes,
        *,
        then: Callable[[], None] | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Queue what must not be lost for the handler of its kind, without waiting.

        Several of a kind in a row are one call of the handler. While the database cannot be reached, `then` is
        called once the payload is on the local disk. A failure is logged and counted.
        """
        self._put(Payload(kind, payload, partial(self._report, then, failed)))

    def append_statement(
        self, statement: str, values: Sequence[str | bytes | float | None]
    ) -> None:
        """Queue a statement that must not be lost; it may be executed twice, and must bear that."""
        self.append(STATEMENT, msgspec.msgpack.encode((statement, values)))

    async def run(
        self,
        work: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run `work` with these arguments in a transaction, in order; it is on disk when this returns.

        `work` runs in the database's thread and must not begin or end transactions. Cancelled before
        its turn, it does not run; later, it may still be committed.

        Raises:
            DatabaseFailed: it could not be committed; `DatabaseLost`: the database cannot be reached, or was lost
                meanwhile, and it may be committed or not.
            Exception: whatever `work` raised; it is rolled back.
        """
        outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def run(connection: Connection) -> Result | None:
            # Also so that it does not run after what undoes it: while the database is away functions wait here, but
            # what is appended is on the local disk, and is written first.
            return None if outcome.cancelled() else work(connection, *args, **kwargs)

        self._put(Work(run, _set(outcome)))
        return await outcome

    async def read(
        self,
        work: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run `work`, which only reads, without waiting for writers; it sees what was committed before.

        Raises:
            DatabaseFailed: the database cannot do it.
            Exception: whatever `work` raised.
        """
        if self._readers is None:
            return await self.run(work, *args, **kwargs)
        if self.refuses:
            raise DatabaseLost("the database cannot be reached")
        return await self._readers.run(lambda connection: work(connection, *args, **kwargs))

    def post(
        self,
        work: Callable[[Connection], object],
        *,
        then: Callable[[], None] | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        """Queue `work` without waiting; a failure is logged and counted.

        `then` is called in the loop once it is on disk, `failed` if it could not be: after `FAIL_SECONDS` while
        the database cannot be reached.
        """
        self._put(Work(work, partial(self._report, then, failed)))

    async def checkpoint(self) -> None:
        """Remove everything that was deleted from the engine's log too."""
        await self.flush()
        await asyncio.to_thread(self._engine.checkpoint)

    async def flush(self) -> None:
        """Wait until everything queued before is on disk, or has failed."""
        if self.busy:
            outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._put(Marker(_set(outcome)))
            with contextlib.suppress(DatabaseFailed):
                await outcome

    @property
    def busy(self) -> bool:
        """Whether works are queued or being committed."""
        return self._writer.queue.busy

    async def aclose(self) -> None:
        """Run what is queued, then close the database; may be called twice."""
        await asyncio.to_thread(self._writer.close)
        if self._readers is not None:
            await self._readers.aclose()

    def _put(self, item: Item) -> None:
        if not self._writer.queue.put(item):
            item.report(None, DatabaseFailed("the database queue is full"))

    def _report(
        self,
        then: Callable[[], None] | None,
        failed: Callable[[], None],
        _: object,
        error: BaseException | None,
    ) -> None:
        if error is not None:
            # That the database was lost is in the log.
            if not isinstance(error, DatabaseLost):
                log.error("database.failed", exc_info=error)
            self._on_failure()
            failed()
        elif then is not None:
            then()


def _set(outcome: asyncio.Future[Any]) -> Report:
    def report(result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - the work's own
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    return report


def _execute(connection: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        statement, values = msgspec.msgpack.decode(payload)
        connection.execute(statement, values)
