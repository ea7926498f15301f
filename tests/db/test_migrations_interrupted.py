"""Migrations whose process is killed before any of their statements: the database is as before, or finished."""

import os
import signal
from contextlib import closing

import pytest

from bridge.db import migrations
from bridge.db.postgres import Postgres
from bridge.db.schema import MIGRATIONS
from bridge.db.sqlite import Sqlite

pytestmark = pytest.mark.full

FORMS = {
    Sqlite: "SELECT type, name, sql FROM sqlite_master ORDER BY type, name",
    Postgres: """
        SELECT table_name, column_name, data_type || coalesce(column_default, '')
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT proname, '', prosrc FROM pg_proc WHERE proname = 'instr'
        ORDER BY 1, 2, 3
    """,
}
migrate = migrations.migrate


class Doomed:
    """A session whose process is killed at a step: before a statement, before the commit, or after it."""

    def __init__(self, session, steps):
        self._session, self._steps = session, steps

    def _step(self):
        if self._steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._steps -= 1

    def execute(self, *statement):
        self._step()
        return self._session.execute(*statement)

    def commit(self):
        self._step()
        self._session.commit()
        self._step()

    def __getattr__(self, name):
        return getattr(self._session, name)


def killed(engine, steps):
    """Migrate in a process that is killed after so many steps; return whether it was."""
    child = os.fork()
    if child == 0:
        try:
            migrations.migrate = lambda session, dialect: migrate(Doomed(session, steps), dialect)
            engine.open()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def form(engine):
    """Return what tables the database has, as it is."""
    with closing(engine.connect()) as session:
        return session.execute(FORMS[type(engine)]).fetchall()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request, tmp_path):
    """An empty database of its own for the test, on each engine."""
    if request.param == "sqlite":
        yield Sqlite(tmp_path / "bridge.sqlite3")
        return
    server = request.getfixturevalue("postgres_server")
    with server.database(template="template0") as name:
        yield Postgres(server.url(name))


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_a_migration_that_is_killed_at_any_statement_is_undone_and_done_at_the_next_start(
    engine, version, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", MIGRATIONS[:version])
        engine.open().close()
    before = found = form(engine)
    steps = 0
    while killed(engine, steps):
        found, steps = form(engine), steps + 1
        if found != before:
            break
    # Of the two steps about the commit the first changes nothing.
    assert steps >= len(MIGRATIONS) - version
    engine.open().close()
    assert found == form(engine) != before, f"killed at step {steps}"
    assert not killed(engine, steps)
