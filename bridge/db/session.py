"""What a kind of database offers: its sessions, and what statements find.

Statements are the same for every engine: written in what SQLite and PostgreSQL have in common, with `?`, `?1` or
`:name` for values.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

Values: TypeAlias = Sequence[object] | Mapping[str, object]
"""Texts, bytes, numbers, None: by their place, or by name."""


class Rows(Protocol):
    """What a statement has found or changed."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""

    def fetchone(self) -> Any:  # noqa: ANN401 - a tuple of what was selected
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows that are left."""


class Found:
    """Rows that have been read (`Rows`)."""

    def __init__(self, rows: Iterable[Any], count: int) -> None:
        self.rowcount = count
        self._left = iter(rows)

    def fetchone(self) -> Any:  # noqa: ANN401 - a tuple of what was selected
        """Return the next row, or None."""
        return next(self._left, None)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self._left)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows that are left."""
        return self._left


class Connection(Protocol):
    """What the functions of a transaction use."""

    def execute(self, statement: str, values: Values = (), /) -> Rows:
        """Execute one statement."""

    def executemany(self, statement: str, rows: Iterable[Values], /) -> Rows:
        """Execute a statement for each of several rows of values; what it returns is in their order."""

    def now(self) -> float:
        """Return the database's time, Unix seconds."""


class Session(Connection, Protocol):
    """An open database and its transactions; every method blocks, for one thread at a time.

    All but `close` raise `DatabaseFailed` when the database cannot do it.
    """

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun and was not rolled back by the database itself."""

    def begin(self) -> None:
        """Begin a transaction that no other writer runs beside."""

    def begin_reading(self) -> None:
        """Begin a transaction that only reads, and waits for no writer."""

    def commit(self) -> None:
        """Commit; it is on disk when this returns."""

    def rollback(self) -> None:
        """Roll the transaction back, if there is one."""

    def savepoint(self) -> None:
        """Mark what `rollback_to_savepoint` returns to."""

    def release(self) -> None:
        """Keep what was done since the savepoint."""

    def rollback_to_savepoint(self) -> None:
        """Undo what was done since the savepoint."""

    def ping(self, seconds: float) -> None:
        """Ask the database for an answer within so many seconds."""

    def close(self) -> None:
        """Close it."""


class Engine(Protocol):
    """A kind of database, and where it is."""

    @property
    def remote(self) -> bool:
        """Whether it can be lost, and come back, while the process runs."""

    def connect(self) -> Session:
        """Open it as it is; blocks.

        Raises:
            SetupError: it refuses us.
            DatabaseLost: it cannot be reached.
        """

    def open(self) -> Session:
        """Open it, with all tables in their present form (`db.migrations`); blocks.

        Raises:
            SetupError: it cannot be used; the text says what to do.
        """

    def checkpoint(self) -> None:
        """Remove what was deleted from the engine's log too; blocks."""


@contextmanager
def transaction(session: Session) -> Iterator[Session]:
    """Commit what is done within, or roll it back."""
    session.begin()
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise


def marks(values: Collection[object]) -> str:
    """Return the places of a list of values, for `IN`; of an empty list one that equals nothing."""
    return f"({', '.join('?' * len(values)) or 'NULL'})"


def count_rows(connection: Connection, which: str, values: Values = ()) -> int:
    """Return how many rows there are of a table, which may come with a condition."""
    [count] = connection.execute(f"SELECT count(*) FROM {which}", values).fetchone()  # noqa: S608
    return int(count)


def wall_time() -> float:
    """Return wall time in seconds, which all processes share, and which goes on while none runs."""
    return datetime.now(UTC).timestamp()
