"""The database's thread: several payloads at once, and an outage in which nothing is lost."""

import asyncio
import contextlib
import time

import pytest

from bridge.db import group, health, writer
from bridge.db.postgres import Postgres
from bridge.db.spool import Spool
from bridge.errors import DatabaseFailed, DatabaseLost
from tests.support.databases import open_database
from tests.support.waiting import until


def insert(connection, payloads):
    """A handler that refuses `bad`, and bears to be called twice."""
    if b"bad" in payloads:
        raise ValueError("a payload that cannot be written")
    connection.executemany(
        "INSERT INTO events (id, line, at, body) VALUES (?, '', 0, ?) ON CONFLICT (id) DO NOTHING",
        [(body.decode(), body) for body in payloads],
    )


def written(connection):
    return [body.decode() for (body,) in connection.execute("SELECT body FROM events ORDER BY seq")]


@contextlib.asynccontextmanager
async def opened(engine, **options):
    database = open_database(engine, **options)
    database.handle("event", insert)
    try:
        yield database
    finally:
        await database.aclose()


async def test_payloads_in_a_row_are_one_call_of_their_handler(engine):
    calls = []

    def note(connection, payloads):
        calls.append(payloads)

    async with opened(engine) as database:
        database.handle("note", note)
        database.post(lambda _: time.sleep(0.05))
        for number in range(5):
            database.append("note", b"%d" % number)
        await database.flush()
    assert [body for bodies in calls for body in bodies] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(calls) <= 2


async def test_of_several_payloads_the_bad_one_alone_fails(engine):
    done, failed = [], []
    async with opened(engine) as database:
        database.post(lambda _: time.sleep(0.05))
        for body in (b"a", b"bad", b"c"):
            database.append(
                "event",
                body,
                then=lambda body=body: done.append(body),
                failed=lambda: failed.append(1),
            )
        assert await database.run(written) == ["a", "c"]
    assert (done, failed) == ([b"a", b"c"], [1])


async def test_a_statement_that_must_not_be_lost_is_appended(engine):
    async with opened(engine) as database:
        database.append_statement("INSERT INTO lines VALUES (?, ?)", ["a", b"b"])
        found = await database.read(lambda c: c.execute("SELECT 1").fetchall())
        assert found == [(1,)]
        assert await database.run(lambda c: c.execute("SELECT * FROM lines").fetchall()) == [
            ("a", b"b")
        ]


def write_slowly(connection):
    insert(connection, [b"b"])
    time.sleep(0.5)


@pytest.mark.postgresql
async def test_reading_does_not_wait_for_a_writer(postgres_server):
    with postgres_server.database() as name:
        async with opened(Postgres(postgres_server.url(name)), readers=2) as database:
            await database.run(insert, [b"a"])
            database.post(write_slowly)
            began = time.monotonic()
            assert await database.read(written) == ["a"]
            assert time.monotonic() - began < 0.4
            with pytest.raises(DatabaseFailed):
                await database.read(insert, [b"c"])
            postgres_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{name}' AND query LIKE '%READ ONLY%' OR query = 'ROLLBACK'"
            )
            assert await database.read(written) is not None


@pytest.fixture
def outage(postgres_server, monkeypatch):
    """A server of the worker that a test may stop."""
    for module in (health, writer):
        monkeypatch.setattr(module, "FAIL_SECONDS", 0.3)
    with postgres_server.database() as name:
        try:
            yield Outage(postgres_server, name)
        finally:
            if postgres_server.process is None:
                postgres_server.start()
            postgres_server.resume()


class Outage:
    def __init__(self, server, name):
        self.server = server
        self.engine = Postgres(server.url(name), 0.5)


@pytest.mark.postgresql
async def test_what_is_appended_during_an_outage_is_written_in_order_afterwards(outage, tmp_path):
    kept, back = [], []
    async with opened(outage.engine, spool=tmp_path, readers=1) as database:
        database.follow(lambda: back.append(1))
        database.append("event", b"before")
        await database.flush()
        outage.server.stop()
        for number in range(3):
            database.append("event", b"%d" % number, then=lambda: kept.append(1))
        await database.flush()
        assert len(kept) == 3
        assert not database.reachable
        began = time.monotonic()
        with pytest.raises(DatabaseLost):
            await database.run(written)
        with pytest.raises(DatabaseLost):
            await database.read(written)
        assert time.monotonic() - began < 2
        await until(lambda: database.refuses)
        database.append("event", b"bad")
        outage.server.start()
        await until(lambda: database.reachable and back and not list(tmp_path.glob("*-wal")))
        database.append("event", b"after")
        assert await database.run(written) == ["before", "0", "1", "2", "after"]
    assert len(list(tmp_path.glob("*.sqlite3"))) == 1  # what was refused is kept aside


@pytest.mark.postgresql
async def test_the_next_process_writes_what_one_could_not(outage, tmp_path):
    async with opened(outage.engine, spool=tmp_path) as database:
        outage.server.stop()
        for number in range(3):
            database.append("event", b"%d" % number)
        await database.flush()
    assert Spool(tmp_path).waiting == 0
    outage.server.start()
    async with opened(outage.engine, spool=tmp_path) as database:
        await until(lambda: not list(tmp_path.iterdir()))
        assert await database.run(written) == ["0", "1", "2"]


@pytest.mark.postgresql
async def test_a_server_that_does_not_answer_counts_as_lost(outage, tmp_path):
    kept = []
    async with opened(outage.engine, spool=tmp_path) as database:
        await database.flush()
        outage.server.pause()
        database.append("event", b"a", then=lambda: kept.append(1))
        await until(lambda: not database.reachable)
        await until(lambda: kept)
        outage.server.resume()
        await until(lambda: database.reachable and not list(tmp_path.iterdir()))
        assert await database.run(written) == ["a"]


async def test_a_function_that_is_cancelled_before_its_turn_does_not_run(engine):
    ran = []
    async with opened(engine) as database:
        database.post(lambda _: time.sleep(0.05))
        waiting = asyncio.ensure_future(database.run(lambda _: ran.append(1)))
        await asyncio.sleep(0)
        waiting.cancel()
        await database.flush()
    assert ran == []


async def test_an_error_that_nobody_expects_does_not_end_the_thread(engine, monkeypatch):
    monkeypatch.setattr(writer, "CRASH_SECONDS", 0.01)
    crashes = iter([RuntimeError("nobody expects this")])
    real = group.perform

    def perform(*args):
        for crash in crashes:
            raise crash
        return real(*args)

    async with opened(engine) as database:
        with monkeypatch.context() as changed:
            changed.setattr(group, "perform", perform)
            with pytest.raises(DatabaseFailed):
                await database.run(written)
        database.append("event", b"kept")
        assert await database.run(written) == ["kept"]


async def test_without_a_spool_what_is_appended_fails_like_everything_else(tmp_path, engine):
    failed = []
    async with opened(engine) as database:
        database.append("unknown", b"", failed=lambda: failed.append(1))
        await database.flush()
    assert failed == [1]
