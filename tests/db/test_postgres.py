"""The PostgreSQL database: the same functions as on SQLite, and what only a server does."""

import contextlib
from enum import StrEnum

import pytest

from bridge.db import migrations
from bridge.db import postgres as postgres_module
from bridge.db.postgres import Postgres
from bridge.errors import DatabaseFailed, DatabaseLost
from tests.support.databases import connected, open_database


class Colour(StrEnum):
    RED = "red"


@pytest.fixture
def server(postgres_server):
    with postgres_server.database() as name:
        yield Server(postgres_server, name)


class Server:
    """A database of the test, and its server."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.engine = Postgres(server.url(name))

    def end_connections(self):
        self.server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{self.name}' AND pid <> pg_backend_pid()"
        )


def words(session):
    return [word for (word,) in session.execute("SELECT line FROM lines ORDER BY line")]


def put(session, word):
    session.execute("INSERT INTO lines VALUES (?, ?)", (word, b""))


TABLE = "CREATE TABLE kinds (t TEXT, i {integer}, r {real}, b {bytes})"


def test_values_come_back_as_the_stores_pass_them(engine):
    kind = "postgresql" if isinstance(engine, Postgres) else "sqlite"
    with connected(engine) as session:
        session.execute(TABLE.format_map(migrations.WORDS[kind]))
        row = (Colour.RED, True, 3, b"\x00\xff")
        assert session.execute("INSERT INTO kinds VALUES (?, ?, ?, ?)", row).rowcount == 1
        session.execute("INSERT INTO kinds VALUES (?, ?, ?, ?)", (None, 2.0, None, None))
        found = session.execute("SELECT t, i, r, b FROM kinds ORDER BY i").fetchall()
        assert found == [("red", 1, 3.0, b"\x00\xff"), (None, 2, None, None)]
        assert session.execute("SELECT sum(i) FROM kinds").fetchone() == (3,)


def test_many_rows_are_returned_in_their_order(engine):
    with connected(engine) as session:
        rows = [("a", None, float(at), b"") for at in range(50)]
        found = session.executemany(
            "INSERT INTO events (line, call_id, at, body) VALUES (?, ?, ?, ?) RETURNING seq, at",
            rows,
        ).fetchall()
        assert [at for _, at in found] == [float(at) for at in range(50)]
        assert [seq for seq, _ in found] == sorted(seq for seq, _ in found)


def test_texts_and_bytes_are_found_within_others(engine):
    with connected(engine) as session:
        session.execute("INSERT INTO lines VALUES (?, ?)", ("abc", b"x\x00yz"))
        found = session.execute(
            "SELECT instr(line, ?), instr(entry, ?), instr(line, ?) FROM lines",
            ("bc", b"\x00y", "z"),
        )
        assert found.fetchone() == (2, 2, 0)


def test_a_zero_character_is_replaced():
    assert postgres_module._text("a\0b") == "a\ufffdb"


@pytest.mark.postgresql
def test_a_failure_names_the_constraint_and_not_the_value(server):
    session = server.engine.open()
    with contextlib.closing(session):
        put(session, "15550100001")
        with pytest.raises(DatabaseFailed) as caught:
            put(session, "15550100001")
    notes = "".join(caught.value.__notes__)
    assert "lines_pkey" in notes
    assert "1555" not in notes + str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.postgresql
def test_nothing_is_sent_for_a_transaction_without_statements(server):
    session = server.engine.open()
    server.end_connections()
    session.begin()
    session.savepoint()
    session.release()
    session.commit()
    session.close()


@pytest.mark.postgresql
def test_a_connection_that_was_ended_is_lost(server):
    session = server.engine.open()
    server.end_connections()
    session.begin()
    with pytest.raises(DatabaseLost):
        put(session, "a")
    assert not session.in_transaction
    session.rollback()
    session.close()


@pytest.mark.postgresql
def test_two_writers_wait_for_each_other_and_a_reader_for_none(server):
    first, second = server.engine.open(), Postgres(server.server.url(server.name), 0.3).open()
    with contextlib.closing(first), contextlib.closing(second):
        first.begin()
        put(first, "a")
        second.begin_reading()
        assert words(second) == []
        second.commit()
        second.begin()
        with pytest.raises(DatabaseLost):
            put(second, "b")
        second.rollback()
        first.commit()
        assert words(first) == ["a"]


@pytest.mark.postgresql
@pytest.mark.parametrize("again", [False, True])
async def test_a_work_that_swallows_a_failed_statement_fails_alone(server, again):
    database = open_database(server.engine)

    def swallow(connection):
        with contextlib.suppress(DatabaseFailed):
            connection.execute("SELECT 1 FROM nothing")
        if again:
            connection.execute("SELECT 1")
        return 7

    database.post(lambda connection: put(connection, "a"))
    with pytest.raises(DatabaseFailed) as failure:
        await database.run(swallow)
    assert not isinstance(failure.value, DatabaseLost)
    database.post(lambda connection: put(connection, "b"))
    assert await database.run(words) == ["a", "b"]
    await database.aclose()
