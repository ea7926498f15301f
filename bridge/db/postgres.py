"""The database on a PostgreSQL server, which several machines share.

A transaction of a writer holds an advisory lock to its end: there is one at a time, as SQLite has it. So events
are committed in the order of their numbers, and what a function has read cannot change before it writes.
What begins or ends transactions and savepoints is sent together with the next statement that must be sent.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import asyncpg
import uvloop

from bridge.db import postgres_setup
from bridge.db.placeholders import Translated, translate
from bridge.db.session import Found, Rows, Session, Values
from bridge.errors import DatabaseFailed, DatabaseLost

APPLICATION: Final = "media-bridge"
LOCK: Final = 0x6D656469616272  # "mediabr"
"""The advisory lock of writers; other programs' locks in the same database are unlikely to have it. The next number
is that of writers of what may be lost, who do not wait for the others."""
STATEMENTS: Final = 300
"""Prepared statements kept by a connection."""
IDLE_SECONDS: Final = 5.0
"""The server ends a transaction whose process does nothing for so long, since others wait for its lock."""
ANSWER_SECONDS: Final = 1.0
"""How long after its own limit the server's answer is awaited."""
CONNECT_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 600.0
"""How long one statement of a migration may take."""
_LOST: Final = ("08", "53", "57", "58", "25P03", "25P04", "25006")
"""Beginnings of SQLSTATEs that say that the server cannot work at present: gone, full, stopped, too slow, read-only."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL database (`db.database.Engine`)."""

    url: str = field(repr=False)
    statement_seconds: float = 10.0
    durable: bool = True
    """Whether a commit is on disk when it returns, in order with those of all other durable writers."""
    migrated: bool = False
    """Whether this process has brought the tables into their present form: then `open` does not look again."""

    @property
    def remote(self) -> bool:
        """It is on a server."""
        return True

    def open(self) -> Session:
        """Connect, and bring the tables into their present form; waits for a server that is starting."""
        if self.migrated:
            return postgres_setup.wait(self.connect)
        # Migrations may take long, or wait for those of another node.
        patient = replace(self, statement_seconds=max(self.statement_seconds, MIGRATION_SECONDS))
        with contextlib.closing(postgres_setup.wait(patient.connect)) as session:
            postgres_setup.migrate(session)
        return postgres_setup.wait(self.connect)

    def connect(self) -> "PostgresSession":
        """Connect to the database as it is.

        Raises:
            SetupError: the server refuses us.
            DatabaseLost: it cannot be reached, or cannot work at present.
        """
        loop = uvloop.new_event_loop()
        milliseconds = round(self.statement_seconds * 1000)
        settings = {
            "application_name": APPLICATION,
            "statement_timeout": str(milliseconds),
            "idle_in_transaction_session_timeout": str(round(IDLE_SECONDS * 1000)),
        }
        if not self.durable:
            settings["synchronous_commit"] = "off"

        async def connect() -> Any:  # noqa: ANN401 - asyncpg has no types
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await asyncpg.connect(
                    self.url, server_settings=settings, timeout=CONNECT_SECONDS
                )
                if await connection.fetchval("SHOW transaction_read_only") == "on":
                    await connection.close()
                    raise ConnectionRefusedError(0, "the server is read-only")
                # sum() of integers is a `numeric`.
                await connection.set_type_codec(
                    "numeric", schema="pg_catalog", encoder=str, decoder=_number
                )
                return connection

        try:
            with postgres_setup.as_setup_errors():
                connection = loop.run_until_complete(connect())
        except BaseException:
            loop.close()
            raise
        seconds = self.statement_seconds + ANSWER_SECONDS
        lock = LOCK if self.durable else LOCK + 1
        return PostgresSession(connection, loop, seconds, lock=lock)

    def checkpoint(self) -> None:
        """Do nothing: the server removes what was deleted by itself (VACUUM)."""


class PostgresSession:
    """A connection to PostgreSQL (`db.database.Session`), with an event loop of its own."""

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - asyncpg has no types
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        *,
        lock: int,
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._loop = loop
        self._seconds = seconds
        self._statements: dict[str, _Prepared] = {}
        self._unsent: list[str] = []
        """What is to be sent before the next statement."""
        self._begun = False
        """Whether the server knows of the transaction."""
        self._failed = False
        """Whether a statement has failed since the last savepoint."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and the connection, which it depends on, is alive."""
        return not self._connection.is_closed() and (self._begun or bool(self._unsent))

    def begin(self) -> None:
        """Begin a transaction that waits for those of other writers; sent with its first statement."""
        self._check_open()
        self._unsent = ["BEGIN", f"SELECT pg_advisory_xact_lock({self._lock})"]

    def begin_reading(self) -> None:
        """Begin a transaction that may only read, and sees the database as it is at its first statement."""
        self._check_open()
        self._unsent = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]

    def commit(self) -> None:
        """Commit; the server has it on disk when this returns."""
        self._check_open()
        if not self._begun:
            self._unsent.clear()
            return
        try:
            ended = self._send([*self._unsent, "COMMIT"])
        finally:
            self._begun = False
            self._unsent.clear()
        if ended != "COMMIT":
            raise DatabaseFailed("the transaction was rolled back")

    def rollback(self) -> None:
        """Roll the transaction back, if there is one."""
        begun, self._begun, self._failed = self._begun, False, False
        self._unsent.clear()
        if begun and not self._connection.is_closed():
            self._send(["ROLLBACK"])

    def savepoint(self) -> None:
        """Mark what `rollback_to_savepoint` returns to."""
        self._failed = False
        self._unsent.append("SAVEPOINT work")

    def release(self) -> None:
        """Keep what was done since the savepoint.

        Raises:
            DatabaseFailed: a statement has failed since.
        """
        if self._failed:
            raise DatabaseFailed("a statement has failed")
        if self._unsent[-1:] == ["SAVEPOINT work"]:
            self._unsent.pop()
        else:
            self._unsent.append("RELEASE SAVEPOINT work")

    def rollback_to_savepoint(self) -> None:
        """Undo what was done since the savepoint."""
        self._failed = False
        if self._unsent[-1:] == ["SAVEPOINT work"]:
            self._unsent.pop()
        else:
            self._unsent += ["ROLLBACK TO SAVEPOINT work", "RELEASE SAVEPOINT work"]

    def execute(self, statement: str, values: Values = (), /) -> Rows:
        """Execute one statement."""
        prepared = self._prepare(statement)
        with self._as_ours():
            found = self._run(prepared.execute(values))
            return Found(map(tuple, found), prepared.count())

    def executemany(self, statement: str, rows: Iterable[Values], /) -> Rows:
        """Execute a statement for each of several rows of values, in one round trip."""
        prepared = self._prepare(statement)
        with self._as_ours():
            found = self._run(prepared.execute_many(rows))
            return Found(map(tuple, found), len(found) if found else -1)

    def now(self) -> float:
        """Return the server's time, Unix seconds."""
        row = self.execute(
            "SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)"
        ).fetchone()
        return float(row[0])

    def ping(self, seconds: float) -> None:
        """Ask the server for an answer within so many seconds."""
        with self._as_ours():
            self._run(self._connection.execute("SELECT 1"), seconds)

    def close(self) -> None:
        """Close the connection, without a Terminate message to a server that does not answer."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(DatabaseFailed), self._as_ours():
            if not self._connection.is_closed():
                self._run(self._connection.close())
        self._connection.terminate()
        # Lets the transport close its socket.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _prepare(self, statement: str) -> "_Prepared":
        self._begin_if_unsent()
        prepared = self._statements.get(statement)
        if prepared is None:
            translated = translate(statement)
            with self._as_ours():
                made = self._run(self._connection.prepare(translated.text))
            if len(self._statements) >= STATEMENTS:
                del self._statements[next(iter(self._statements))]
            prepared = self._statements[statement] = _Prepared(made, translated)
        return prepared

    def _begin_if_unsent(self) -> None:
        if self._unsent:
            unsent, self._unsent = self._unsent, []
            self._begun = True
            self._send(unsent)

    def _send(self, statements: list[str]) -> str:
        """Send statements without values at once; return what the last one did."""
        try:
            with self._as_ours():
                return str(self._run(self._connection.execute("; ".join(statements))))
        except DatabaseFailed as error:
            # Which of them failed is unknown, so is whether there is a savepoint.
            self._connection.terminate()
            if isinstance(error, DatabaseLost):
                raise
            raise DatabaseLost("the connection to the database was closed") from error

    def _run(self, work: Awaitable[Result], seconds: float | None = None) -> Result:
        async def limited() -> Result:
            async with asyncio.timeout(seconds or self._seconds):
                return await work

        return self._loop.run_until_complete(limited())

    def _check_open(self) -> None:
        if self._connection.is_closed():
            raise DatabaseLost("the connection to the database was lost")

    @contextlib.contextmanager
    def _as_ours(self) -> Iterator[None]:
        try:
            yield
        except postgres_setup.ERRORS as error:
            self._failed = True
            if isinstance(error, asyncpg.InvalidCachedStatementError):
                self._statements.clear()
            code = str(getattr(error, "sqlstate", None) or "")
            if isinstance(error, OSError) or code.startswith(_LOST):
                self._connection.terminate()
            if self._connection.is_closed():
                raise described(DatabaseLost("the database cannot be reached"), error) from None
            failure = DatabaseFailed("the database statement failed")
            raise described(failure, error) from None


class _Prepared:
    """A prepared statement, and how its values are passed."""

    def __init__(self, statement: Any, translated: Translated) -> None:  # noqa: ANN401
        self._statement = statement
        self._translated = translated
        self._encoders = tuple(
            _ENCODERS.get(kind.name, _as_it_is) for kind in statement.get_parameters()
        )

    def execute(self, values: Values) -> Awaitable[list[Any]]:
        """Execute it with these values."""
        found: Awaitable[list[Any]] = self._statement.fetch(*self._encode(values))
        return found

    def execute_many(self, rows: Iterable[Values]) -> Awaitable[list[Any]]:
        """Execute it for each of several rows of values."""
        found: Awaitable[list[Any]] = self._statement.fetchmany([self._encode(row) for row in rows])
        return found

    def count(self) -> int:
        """Return how many rows it has changed or found last."""
        *_, count = (self._statement.get_statusmsg() or "").rpartition(" ")
        return int(count) if count.isdecimal() else -1

    def _encode(self, values: Values) -> list[Any]:
        ordered = self._translated.order(values)
        if len(ordered) != len(self._encoders):
            raise asyncpg.InterfaceError("another number of values than the statement has")
        return [
            None if value is None else encode(value)
            for encode, value in zip(self._encoders, ordered, strict=True)
        ]


def described(failure: DatabaseFailed, error: BaseException) -> DatabaseFailed:
    """Add to a failure what went wrong, without values: these may be numbers, and logs have the failure."""
    names = ("sqlstate", "table_name", "column_name", "constraint_name")
    known = [type(error).__name__, *(str(getattr(error, name, None) or "") for name in names)]
    failure.add_note(" ".join(filter(None, known)))
    return failure


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _as_it_is(value: object) -> object:
    return value


def _text(value: object) -> object:
    # PostgreSQL's texts have no zero characters.
    return str.replace(value, "\0", "\ufffd") if isinstance(value, str) else value


def _integer(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _boolean(value: object) -> object:
    return bool(value) if isinstance(value, int) else value


_ENCODERS: Final[dict[str, Callable[[object], object]]] = {
    "text": _text,
    "varchar": _text,
    "int2": _integer,
    "int4": _integer,
    "int8": _integer,
    "bool": _boolean,
}
"""By the name of a type: what a value of another type, which SQLite would convert, is made."""
