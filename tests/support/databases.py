"""Databases of tests."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bridge.db import migrations
from bridge.db.database import Database
from bridge.db.session import Connection, Engine, Found, Rows, Values
from bridge.db.sqlite import FILE, Sqlite, SqliteSession
from bridge.stores.nodes import Member
from tests.support.virtual_time import VirtualTimeLoop


def open_database(engine: Engine, **options: Any) -> Database:
    """Open a database; virtual time stands still while its thread is at work."""
    database = Database(engine, **options)
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTimeLoop):
        loop.stand_still_while(lambda: database.busy)
    return database


@contextlib.contextmanager
def in_memory() -> Iterator[SqliteSession]:
    """Open a database with all tables, which is gone afterwards."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        session = SqliteSession(connection)
        migrations.migrate(session, "sqlite")
        yield session


def write_empty_database(folder: Path) -> None:
    """Spare a bridge the migrations: leave it a database with all tables in its data folder."""
    (folder / FILE).write_bytes(_empty_database())


@cache
def _empty_database() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        Sqlite(path).open().close()
        return path.read_bytes()


@contextlib.contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """Open a connection for a test without `Database`: in a thread, since PostgreSQL's has an event loop.

    Every statement is a transaction of its own.
    """
    with ThreadPoolExecutor(1) as thread:
        session = thread.submit(engine.open).result()
        try:
            yield _Threaded(session, thread)
        finally:
            thread.submit(session.close).result()


class _Threaded:
    """A connection that is used in another thread."""

    def __init__(self, connection: Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    def execute(self, statement: str, values: Values = (), /) -> Rows:
        return self._run(lambda: self._connection.execute(statement, values))

    def executemany(self, statement: str, rows: Any, /) -> Rows:
        return self._run(lambda: self._connection.executemany(statement, rows))

    def now(self) -> float:
        return self._thread.submit(self._connection.now).result()

    def _run(self, work: Callable[[], Rows]) -> Rows:
        def read() -> Rows:
            rows = work()
            return Found(rows.fetchall(), rows.rowcount)

        return self._thread.submit(read).result()


def insert_call(connection: Connection, call_id: str, owner: Member) -> None:
    """Write a call that a node has."""
    connection.execute(
        "INSERT INTO calls (call_id, node, boot, line, peer, direction, started_at) "
        "VALUES (?, ?, ?, 'demo', '1', 'outbound', 1.0)",
        (call_id, owner.node, owner.boot),
    )
