"""The database as a SQLite file: the default, for one machine."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bridge.db import migrations
from bridge.db.session import Found, Rows, Session, Values, wall_time
from bridge.errors import DatabaseFailed

FILE: Final = "bridge.sqlite3"
"""Below the data folder."""
BUSY_SECONDS: Final = 30.0
"""How long a transaction waits for another process's."""
WAL_ATTEMPTS: Final = 6


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A SQLite file (`db.database.Engine`)."""

    path: Path
    durable: bool = True
    """Whether a commit is on disk when it returns; if not, a power cut may lose what was committed last."""

    @property
    def remote(self) -> bool:
        """It is a file of this machine."""
        return False

    def connect(self) -> Session:
        """Open the file as it is."""
        return SqliteSession(connect(self.path, synchronous="FULL" if self.durable else "NORMAL"))

    def open(self) -> Session:
        """Open the file; creates it with its folder if there is none."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        session = self.connect()
        migrations.migrate(session, "sqlite")
        return session

    def checkpoint(self) -> None:
        """Move everything committed into the file and empty its log, which has what was deleted since.

        Another process that uses the file just then may keep the log; its next checkpoint empties it.
        """
        with contextlib.closing(connect(self.path, synchronous="FULL")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class SqliteSession:
    """An open SQLite file (`db.database.Session`)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction has begun; a full disk, for one, makes SQLite roll it back itself."""
        return self._connection.in_transaction

    def begin(self) -> None:
        """Begin a transaction; immediate, so that it waits here for other writers and not half-way."""
        self.execute("BEGIN IMMEDIATE")

    def begin_reading(self) -> None:
        """Begin a transaction that sees the database as it is at its first statement."""
        self.execute("BEGIN DEFERRED")

    def commit(self) -> None:
        """Commit; the file is synced when this returns."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Roll the transaction back, if there is one."""
        if self._connection.in_transaction:
            self.execute("ROLLBACK")

    def savepoint(self) -> None:
        """Mark what `rollback_to_savepoint` returns to."""
        self.execute("SAVEPOINT work")

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        self.execute("RELEASE SAVEPOINT work")

    def rollback_to_savepoint(self) -> None:
        """Undo what was done since the savepoint."""
        self.execute("ROLLBACK TO SAVEPOINT work")
        self.release()

    def execute(self, statement: str, values: Values = (), /) -> Rows:
        """Execute one statement."""
        with _as_ours():
            return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Values], /) -> Rows:
        """Execute a statement for each of several rows of values; what it returns is in their order."""
        with _as_ours():
            if "RETURNING" not in statement:
                return self._connection.executemany(statement, rows)
            returned = [
                row for values in rows for row in self._connection.execute(statement, values)
            ]
        return Found(returned, len(returned))

    def now(self) -> float:
        """Return the machine's time."""
        return wall_time()

    def ping(self, seconds: float) -> None:
        """Do nothing: a file does not go away."""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextlib.contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseFailed("the database statement failed") from error


def connect(path: Path, *, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """Open a file that the bridge's user alone may read; transactions must begin explicitly."""
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    # SQLite does not wait for another process that switches the same new file to WAL.
    for left in reversed(range(WAL_ATTEMPTS)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if left == 0 or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(0.05)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted is overwritten with zeros.
    connection.execute("PRAGMA secure_delete = ON")
    return connection
