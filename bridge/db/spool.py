"""What waits on the local disk while the database cannot be reached, and is written to it afterwards.

Each process has a file of its own, which it makes when it first needs one and deletes when it is empty. A file is
locked while its process lives; one whose process has ended is adopted by another.
"""

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bridge.db.group import Handler, Payload, transact
from bridge.db.session import Session
from bridge.db.sqlite import connect
from bridge.errors import DatabaseFailed, DatabaseLost

log = logging.getLogger(__name__)

FOLDER: Final = "database-spool"
"""Below the data folder."""
LIMIT_BYTES: Final = 256 << 20
"""Of the payloads in a process's file; more are dropped."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spooled (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL);
"""


class Spooled(NamedTuple):
    """A payload, and its place in its file."""

    id: int
    kind: str
    body: bytes


class Spool:
    """The payloads of this process that wait, and those of processes that have ended; for one thread."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._files: deque[_File] = deque()
        """The oldest first; this process's own is the last."""
        self._own: _File | None = None

    @property
    def waiting(self) -> int:
        """How many payloads wait."""
        return sum(file.waiting for file in self._files)

    def add(self, payloads: Sequence[tuple[str, bytes]]) -> int:
        """Keep payloads, each with its kind; they are on disk when this returns.

        Returns how many there was room for.

        Raises:
            DatabaseFailed: the disk has none, or does not work.
        """
        with _as_ours():
            if self._own is None:
                self._own = _File.make(self._folder)
                self._files.append(self._own)
            room = self._limit_bytes - self._own.size
            kept = []
            for kind, body in payloads:
                room -= len(body)
                if room < 0:
                    break
                kept.append((kind, body))
            self._own.add(kept)
            return len(kept)

    def page(self, limit: int) -> list[Spooled]:
        """Return the oldest payloads of a file."""
        with _as_ours():
            return self._files[0].page(limit) if self._files else []

    def remove(self, page: Sequence[Spooled], refused: Sequence[Spooled] = ()) -> None:
        """Delete a page; those `refused` are kept aside, for somebody to look at."""
        with _as_ours():
            file = self._files[0]
            file.remove(page, refused)
            if not file.waiting:
                self._files.popleft().close()
                self._own = None if file is self._own else self._own

    def adopt(self) -> None:
        """Take over the files of processes that have ended; what waits there comes first.

        Raises:
            DatabaseFailed: some cannot be read, and stay where they are; the others have been taken over.
        """
        with _as_ours():
            names = sorted(self._folder.glob("*.sqlite3"), reverse=True)
        known = {file.path for file in self._files}
        failure: DatabaseFailed | None = None
        for path in names:
            try:
                if path not in known:
                    self._adopt(path)
            except DatabaseFailed as error:
                failure = error
        if failure is not None:
            raise failure

    def _adopt(self, path: Path) -> None:
        with _as_ours():
            if (file := _File.take(path)) is None:
                return
            if file.waiting:
                self._files.appendleft(file)
            else:
                file.close()

    def close(self) -> None:
        """Close the files, for another process to adopt."""
        for file in self._files:
            file.close()
        self._files.clear()


class _File:
    """One file, and its lock."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._connection = connect(path, synchronous="FULL")
        self._connection.executescript(_SCHEMA)
        query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM spooled"
        self.waiting, self.size = self._connection.execute(query).fetchone()

    @classmethod
    def make(cls, folder: Path) -> "_File":
        """Make a file whose name comes after those that are there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            file = cls.take(folder / f"{time.time_ns():020}-{os.getpid()}.sqlite3")
            if file is not None:
                return file

    @classmethod
    def take(cls, path: Path) -> "_File | None":
        """Open a file, unless its process lives."""
        lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(path, lock)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise

    def add(self, payloads: Sequence[tuple[str, bytes]]) -> None:
        with self._transaction():
            self._connection.executemany("INSERT INTO spooled (kind, body) VALUES (?, ?)", payloads)
        self.waiting += len(payloads)
        self.size += sum(len(body) for _, body in payloads)

    def page(self, limit: int) -> list[Spooled]:
        query = "SELECT id, kind, body FROM spooled ORDER BY id LIMIT ?"
        return [Spooled(*row) for row in self._connection.execute(query, (limit,))]

    def remove(self, page: Sequence[Spooled], refused: Sequence[Spooled]) -> None:
        with self._transaction():
            self._connection.executemany("INSERT INTO refused VALUES (?, ?, ?)", refused)
            self._connection.execute("DELETE FROM spooled WHERE id <= ?", (page[-1].id,))
        self.waiting -= len(page)
        self.size -= sum(len(one.body) for one in page)

    def close(self) -> None:
        """Close it, and delete it if nothing is in it."""
        empty = self._connection.execute(
            "SELECT NOT EXISTS (SELECT 1 FROM spooled) AND NOT EXISTS (SELECT 1 FROM refused)"
        ).fetchone()[0]
        self._connection.close()
        if empty:
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".lock").unlink(missing_ok=True)
        os.close(self._lock)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def replay(
    session: Session, page: Sequence[Spooled], handlers: Mapping[str, Handler]
) -> list[Spooled]:
    """Write payloads in one transaction, or each in its own if that is refused; return those refused for good.

    Raises:
        DatabaseLost: the connection is gone; any of them may have been written.
    """
    group = [Payload(one.kind, one.body, lambda *_: None) for one in page]
    refused = []
    try:
        for one, (_, _, error) in zip(page, transact(session, group, handlers), strict=True):
            if error is not None:
                log.error("database.write_refused", extra={"kind": one.kind}, exc_info=error)
                refused.append(one)
    except DatabaseLost:
        raise
    except DatabaseFailed as error:
        if len(page) > 1:  # the transaction as a whole was refused: whose fault is it?
            return [one for each in page for one in replay(session, [each], handlers)]
        log.error("database.write_refused", extra={"kind": page[0].kind}, exc_info=error)
        refused = [*page]
    return refused


@contextlib.contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DatabaseFailed("the database spool in data.dir could not be written") from error
