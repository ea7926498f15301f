"""A database is brought into its present form once, and a newer one is left alone."""

import pytest

from bridge.db import migrations
from bridge.db.schema import MIGRATIONS
from bridge.db.sqlite import Sqlite
from bridge.errors import DatabaseFailed, SetupError


@pytest.fixture
def engine(tmp_path):
    return Sqlite(tmp_path / "bridge.sqlite3")


def version(session):
    return session.execute("SELECT max(version) FROM bridge_schema").fetchone()[0]


def test_a_new_database_has_all_migrations(engine):
    assert version(engine.open()) == len(MIGRATIONS)


def test_a_migration_is_applied_once(engine, monkeypatch):
    engine.open().close()
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (a {integer});"))
    for _ in range(2):
        session = engine.open()
        assert version(session) == len(MIGRATIONS) + 1
        session.close()


def test_what_a_failing_migration_has_done_is_undone(engine, monkeypatch):
    engine.open().close()
    broken = (*MIGRATIONS, "CREATE TABLE more (a {integer}); CREATE TABLE more (a {integer});")
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", broken)
        with pytest.raises(DatabaseFailed):
            engine.open()
    session = engine.open()
    assert version(session) == len(MIGRATIONS)
    tables = session.execute("SELECT name FROM sqlite_master").fetchall()
    assert ("more",) not in tables


def test_a_newer_database_is_refused_with_what_to_do(engine):
    session = engine.open()
    session.execute("INSERT INTO bridge_schema VALUES (?)", (len(MIGRATIONS) + 1,))
    with pytest.raises(SetupError, match="start that version, or restore a backup"):
        engine.open()
