"""Copies all tables from one database to another, which may be of another engine.

Both have the tables of this version, and no bridge uses them meanwhile.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from bridge.db import migrations
from bridge.db.migrations import Dialect
from bridge.db.schema import MIGRATIONS
from bridge.db.session import Session, count_rows, marks, transaction
from bridge.errors import DatabaseFailed, SetupError

PAGE: Final = 500
"""Rows of one transaction."""
_CREATED: Final = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
_NUMBERED: Final = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \(\s*(\w+) \{serial\}")
_COLUMNS: Final[dict[Dialect, str]] = {
    "sqlite": "SELECT name, pk FROM pragma_table_info(?) ORDER BY cid",
    "postgresql": """
        SELECT a.attname, coalesce(array_position(CAST(i.indkey AS smallint[]), a.attnum) + 1, 0)
        FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
        WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    """,
}
"""The columns of a table, and the place of each in its primary key, from 1; 0 for none."""


@dataclass(frozen=True, slots=True)
class Place:
    """An open database."""

    session: Session
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The columns of its primary key, in order."""

    def next_page(self, after: tuple[Any, ...] | None) -> tuple[str, tuple[Any, ...]]:
        """Return the query of the rows after a key, and its values."""
        key = ", ".join(self.key)
        where = f"WHERE ({key}) > {marks(self.key)} " if after else ""
        query = (
            f"SELECT {', '.join(self.columns)} FROM {self.name} {where}ORDER BY {key} LIMIT {PAGE}"  # noqa: S608
        )
        return query, after or ()

    def key_of(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(row[self.columns.index(column)] for column in self.key)

    @property
    def insertion(self) -> str:
        columns = ", ".join(self.columns)
        return f"INSERT INTO {self.name} ({columns}) VALUES {marks(self.columns)}"  # noqa: S608


def names() -> list[str]:
    """Return the names of all tables with data."""
    return [name for script in MIGRATIONS for name in _CREATED.findall(script)]


def version(session: Session) -> int | None:
    """Return the version of a database's tables; None if it has none of the bridge's.

    Raises:
        SetupError: a newer bridge has used it.
    """
    session.begin_reading()
    try:
        return migrations.version(session)
    except DatabaseFailed:
        return None
    finally:
        session.rollback()


def check_idle(place: Place) -> None:
    """Check that no node of another machine uses a database.

    Raises:
        SetupError: one does.
    """
    leased = "nodes WHERE ended_at IS NULL AND lease_until > ?"
    alive = count_rows(place.session, leased, (place.session.now(),))
    if alive:
        nodes = "1 node of a bridge uses" if alive == 1 else f"{alive} nodes of a bridge use"
        raise SetupError(f"{nodes} the database; stop the bridge on all machines")


def counts(place: Place) -> dict[str, int]:
    """Return the number of rows by table."""
    return {name: count_rows(place.session, name) for name in names()}


def copy(source: Place, target: Place, progress: Callable[[str, int], None]) -> dict[str, int]:
    """Copy every row; return how many by table. `progress` gets a table, and how many so far.

    Raises:
        SetupError: not everything has arrived.
        DatabaseFailed: a database does not do it.
    """
    copied = {}
    for name in names():
        table = _table(source, name)
        done = 0
        progress(name, done)
        for rows in _pages(source, table):
            with transaction(target.session) as session:
                session.executemany(table.insertion, rows)
            done += len(rows)
            progress(name, done)
        copied[name] = done
    for name, column in (found for script in MIGRATIONS for found in _NUMBERED.findall(script)):
        last = _last_number(source, name, column)
        with transaction(target.session):
            _continue_after(target, name, column, last)
    # All processes of the source have ended: whichever starts next takes over what they left.
    ended = "UPDATE nodes SET ended_at = ? WHERE ended_at IS NULL"
    with transaction(target.session) as session:
        session.execute(ended, (session.now(),))
    found = counts(target)
    for name, count in counts(source).items():
        if not count == copied[name] == found[name]:
            raise SetupError(f"{name} has {count} rows, but {found[name]} have arrived")
    return copied


def empty(target: Place) -> None:
    """Delete every row that was copied."""
    with transaction(target.session) as session:
        for name in names():
            session.execute(f"DELETE FROM {name}")  # noqa: S608


def _pages(source: Place, table: _Table) -> Iterator[list[tuple[Any, ...]]]:
    after = None
    while True:
        rows = source.session.execute(*table.next_page(after)).fetchall()
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = table.key_of(rows[-1])


def _table(place: Place, name: str) -> _Table:
    found = place.session.execute(_COLUMNS[place.dialect], (name,)).fetchall()
    key = [column for part, column in sorted((part, column) for column, part in found) if part]
    return _Table(name, tuple(column for column, _ in found), tuple(key))


def _last_number(source: Place, name: str, column: str) -> int:
    """Return the greatest number that was ever given, also to rows that are deleted."""
    if source.dialect == "sqlite":
        row = source.session.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)
        ).fetchone()
        return int(row[0]) if row else 0
    [sequence] = source.session.execute(
        "SELECT pg_get_serial_sequence(?, ?)", (name, column)
    ).fetchone()
    [last, given] = source.session.execute(
        f"SELECT last_value, is_called FROM {sequence}"  # noqa: S608
    ).fetchone()
    return int(last) if given else 0


def _continue_after(target: Place, name: str, column: str, last: int) -> None:
    """Have the next row get a greater number than the last one of the source."""
    session = target.session
    if target.dialect == "sqlite":
        session.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        session.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))
    elif last:
        session.execute(
            "SELECT setval(CAST(pg_get_serial_sequence(?, ?) AS regclass), ?)", (name, column, last)
        )
