"""The database: what it confirms stays, whatever happens to the process."""

import asyncio
import contextlib
import multiprocessing
import os
import sqlite3
import threading

import pytest

from bridge.db import group
from bridge.db.sqlite import Sqlite, SqliteSession
from bridge.errors import DatabaseFailed
from tests.support.databases import open_database

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY);"


class Counted:
    def __init__(self):
        self.count = 0

    def fail(self):
        self.count += 1


@pytest.fixture
def failures():
    return Counted()


@pytest.fixture
async def database(tmp_path, failures):
    opened = open_database(Sqlite(tmp_path / "deep" / "bridge.sqlite3"), on_failure=failures.fail)
    opened.post(lambda connection: connection.execute(SCHEMA))
    await opened.flush()
    yield opened
    await opened.aclose()


def put(word):
    return lambda connection: connection.execute("INSERT INTO words VALUES (?)", (word,)) and None


def all_words(connection):
    return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY rowid")]


def on_disk(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return all_words(connection)


async def test_what_run_confirms_is_read_by_another_connection(database, tmp_path):
    await database.run(put("a"))
    assert on_disk(tmp_path / "deep" / "bridge.sqlite3") == ["a"]


async def test_run_gives_what_the_work_gives_and_raises_what_it_raises(database):
    assert await database.run(lambda _: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await database.run(lambda _: 1 // 0)


async def test_works_are_done_in_the_order_they_were_asked_for(database):
    for word in "abc":
        database.post(put(word))
    assert await database.run(all_words) == ["a", "b", "c"]


async def test_who_posts_can_be_told_once_it_is_on_disk(database, failures, tmp_path):
    seen = []
    path = tmp_path / "deep" / "bridge.sqlite3"
    database.post(put("a"), then=lambda: seen.append(on_disk(path)))
    database.post(put("a"), then=lambda: seen.append("never"))
    await database.flush()
    await database.run(all_words)
    assert seen == [["a"]]
    assert failures.count == 1


async def test_a_flush_waits_for_everything_that_was_posted(database, tmp_path):
    for number in range(500):
        database.post(put(str(number)))
    await database.flush()
    assert len(on_disk(tmp_path / "deep" / "bridge.sqlite3")) == 500


async def test_works_that_wait_together_are_committed_together(database, monkeypatch):
    held, begun = threading.Event(), threading.Event()
    commits = 0
    commit = SqliteSession.commit

    def count(session):
        nonlocal commits
        commits += 1
        commit(session)

    def hold(_):
        begun.set()
        held.wait(10)

    monkeypatch.setattr(SqliteSession, "commit", count)
    database.post(hold)
    await asyncio.to_thread(begun.wait, 10)
    for number in range(100):
        database.post(put(str(number)))
    held.set()
    await database.flush()
    assert commits == 2
    assert len(await database.run(all_words)) == 100


async def test_a_failing_work_undoes_itself_and_stops_no_other(database, failures):
    def half(connection):
        connection.execute("INSERT INTO words VALUES ('half')")
        raise ValueError("in the middle")

    database.post(put("before"))
    database.post(half)
    database.post(put("after"))
    assert await database.run(all_words) == ["before", "after"]
    assert failures.count == 1


async def test_a_failure_that_somebody_waits_for_is_theirs_and_not_counted(database, failures):
    await database.run(put("a"))
    with pytest.raises(DatabaseFailed):
        await database.run(put("a"))
    assert failures.count == 0


async def test_a_group_that_cannot_be_committed_fails_as_a_whole(database, failures):
    with pytest.raises(DatabaseFailed):
        await database.run(lambda connection: connection.execute("ROLLBACK"))
    await database.run(put("a"))
    assert await database.run(all_words) == ["a"]


async def test_a_full_queue_drops_and_counts(database, failures, monkeypatch):
    monkeypatch.setattr(group, "MAX_WAITING", 0)
    database.post(put("a"))
    with pytest.raises(DatabaseFailed):
        await database.run(put("b"))
    assert failures.count == 1


async def test_closing_does_what_was_posted_before_and_takes_nothing_after(
    database, failures, tmp_path
):
    database.post(put("a"))
    await database.aclose()
    database.post(put("b"))
    await database.flush()
    assert on_disk(tmp_path / "deep" / "bridge.sqlite3") == ["a"]
    assert failures.count == 1


async def test_a_cancelled_run_does_not_disturb_those_after_it(database):
    held = threading.Event()

    def hold(_):
        held.wait(10)

    database.post(hold)
    waiting = asyncio.get_running_loop().create_task(database.run(put("a")))
    await asyncio.sleep(0)
    waiting.cancel()
    held.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await database.run(put("b"))
    assert "b" in await database.run(all_words)


async def test_only_its_owner_can_read_the_file(database, tmp_path):
    await database.run(put("a"))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "deep").iterdir()}
    assert modes == {0o600}


def write_for_ever(path, confirmed):
    async def write():
        database = open_database(Sqlite(path))
        database.post(lambda connection: connection.execute(SCHEMA))
        number = 0
        while True:
            for _ in range(5):
                database.post(put(f"{os.getpid()}-{number}"))
                number += 1
            if number % 2:
                await database.run(put(f"{os.getpid()}-run-{number}"))
            else:
                await database.flush()
            os.write(confirmed, f"{os.getpid()}-{number - 1}\n".encode())

    asyncio.run(write())


def test_a_killed_process_loses_nothing_that_was_confirmed(tmp_path):
    path = tmp_path / "bridge.sqlite3"
    fork = multiprocessing.get_context("fork")
    reading, writing = os.pipe()
    processes = [fork.Process(target=write_for_ever, args=(path, writing)) for _ in range(2)]
    for process in processes:
        process.start()
    os.close(writing)
    told = b""
    while told.count(b"\n") < 40 or len({line.split(b"-")[0] for line in told.split()}) < 2:
        told += os.read(reading, 4096)
    for process in processes:
        process.kill()
        process.join(10)
    while more := os.read(reading, 65536):
        told += more
    os.close(reading)
    kept = set(on_disk(path))
    for line in told.decode().split():
        name, number = line.split("-")
        assert {f"{name}-{n}" for n in range(int(number) + 1)} <= kept
