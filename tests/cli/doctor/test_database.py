"""The SQLite database of the data folder."""

import sqlite3

from bridge.cli.doctor import database
from bridge.cli.doctor.database import check_database, try_database
from bridge.db import sqlite
from bridge.settings.model import Data, Settings
from tests.cli.doctor.surroundings import assert_fails, assert_ok, only, surroundings


async def look(folder):
    async with surroundings(Settings(data=Data(dir=str(folder)))) as around:
        return await check_database(around)


async def test_a_database_is_written_and_left_as_it_was(tmp_path):
    path = tmp_path / sqlite.FILE
    with sqlite.connect(path, synchronous="FULL") as connection:
        connection.execute("CREATE TABLE kept (a)")
    connection.close()
    assert_ok(only(await look(tmp_path)), "1 tables")
    assert try_database(path) == 1


async def test_a_database_that_is_not_there_yet_is_not_made(tmp_path):
    assert_ok(only(await look(tmp_path)), "first start")
    assert list(tmp_path.iterdir()) == []


async def test_a_damaged_database_is_told(tmp_path):
    (tmp_path / sqlite.FILE).write_bytes(b"not a database at all" * 100)
    assert_fails(only(await look(tmp_path)), "not a database", setting="data.dir")


async def test_a_locked_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    holder = sqlite3.connect(tmp_path / sqlite.FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert_fails(only(await look(tmp_path)), "locked", setting="data.dir")
    finally:
        holder.close()
