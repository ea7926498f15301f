"""Copying all tables from one database to another."""

from contextlib import closing

import pytest

from bridge.db import table_copy
from bridge.db.migrations import Dialect
from bridge.db.sqlite import Sqlite
from bridge.db.table_copy import Place
from bridge.errors import SetupError
from tests.support.databases import in_memory


@pytest.fixture
def source():
    with in_memory() as opened:
        yield Place(opened, "sqlite")


@pytest.fixture
def target(tmp_path):
    with closing(Sqlite(tmp_path / "target.sqlite3").open()) as opened:
        yield Place(opened, "sqlite")


def test_every_table_is_copied(source):
    tables = source.session.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    own = {"bridge_schema", "sqlite_sequence"}
    assert sorted(table_copy.names()) == sorted({name for (name,) in tables} - own)


def test_every_table_has_columns_and_a_key_on_each_engine(engine):
    dialect: Dialect = "sqlite" if isinstance(engine, Sqlite) else "postgresql"
    with closing(engine.open()) as session:
        tables = [table_copy._table(Place(session, dialect), name) for name in table_copy.names()]
    for table in tables:
        assert table.key, table.name
        assert set(table.key) <= set(table.columns)
    [key] = [table.key for table in tables if table.name == "call_problems"]
    assert key == ("code", "line", "started_at", "call_id")


def test_tables_are_copied_page_by_page_by_their_whole_keys(source, target):
    page = table_copy.PAGE
    rows = [("a", "one", 1.0, f"{number:04}") for number in range(2 * page)]
    rows += [("b", "one", 0.0, "0")]
    source.session.executemany("INSERT INTO call_problems VALUES (?, ?, ?, ?)", rows)
    seen: list[tuple[str, int]] = []
    copied = table_copy.copy(source, target, lambda name, done: seen.append((name, done)))
    assert copied["call_problems"] == len(rows)
    assert [done for name, done in seen if name == "call_problems"] == [
        0,
        page,
        2 * page,
        len(rows),
    ]
    assert sorted(target.session.execute("SELECT * FROM call_problems").fetchall()) == rows


def test_what_is_lost_on_the_way_is_found(source, target, monkeypatch):
    source.session.execute("INSERT INTO lines VALUES ('one', 'x')")
    monkeypatch.setattr(table_copy, "_pages", lambda *_: [])
    with pytest.raises(SetupError, match="lines has 1 rows, but 0 have arrived"):
        table_copy.copy(source, target, lambda *_: None)


def test_processes_of_the_source_have_ended_for_the_target(source, target):
    source.session.execute(
        "INSERT INTO nodes (boot, node, run, machine, url, started_at) VALUES ('b', 0, 'r', 'm', '', 1)"
    )
    table_copy.copy(source, target, lambda *_: None)
    [(ended_at,)] = target.session.execute("SELECT ended_at FROM nodes").fetchall()
    assert ended_at is not None
