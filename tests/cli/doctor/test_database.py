"""The SQLite database of the data folder."""

import sqlite3

import pytest

from bridge.app.databases import engine_of
from bridge.cli.doctor import database
from bridge.cli.doctor.database import check_database, try_database
from bridge.db import sqlite
from bridge.settings.model import Data, Settings
from bridge.stores.secret import FILE, identity, shared_secret
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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def data(request, tmp_path):
    if request.param == "sqlite":
        return Data(dir=str(tmp_path))
    return Data(dir=str(tmp_path), url=request.getfixturevalue("postgres_url"))


def test_a_bridge_that_was_never_started_has_no_identity(data):
    assert database.known_identity(data) == ""


def test_the_identity_is_that_of_the_secret_in_the_database(data, tmp_path):
    secret = shared_secret(engine_of(data), tmp_path)
    assert database.known_identity(data) == identity(secret)


def test_the_identity_of_an_earlier_version_is_known_before_it_is_taken_over(data, tmp_path):
    (tmp_path / FILE).write_bytes(b"a secret of before")
    assert database.known_identity(data) == identity(b"a secret of before")


def test_what_cannot_be_asked_is_missing(tmp_path):
    unreachable = Data(dir=str(tmp_path), url="postgresql://bridge@127.0.0.1:1/bridge")
    assert database.read(unreachable, lambda connection: "found", "missing") == "missing"
