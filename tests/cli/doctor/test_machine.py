"""libopus, open files, the disk and the database."""

import sqlite3

import pytest

from bridge.cli.doctor import machine
from bridge.cli.doctor.machine import (
    check_database,
    check_disk,
    check_open_files,
    check_opus,
    existing,
    judge_open_files,
    judge_space,
    judge_sync,
    try_database,
)
from bridge.db import sqlite
from bridge.errors import OpusMissing
from bridge.settings.model import Data, Limits, Settings
from tests.cli.doctor.surroundings import (
    assert_fails,
    assert_ok,
    assert_warns,
    only,
    surroundings,
)


async def look(check, folder="nowhere"):
    chosen = Settings(data=Data(dir=str(folder)), limits=Limits(calls=10))
    async with surroundings(chosen) as around:
        return await check(around)


async def test_libopus_is_loaded():
    assert_ok(only(await look(check_opus)), "libopus")


async def test_a_libopus_that_is_missing_is_told(monkeypatch):
    monkeypatch.setenv("OPUS_LIB", "/nowhere/libopus.so")
    with pytest.raises(OpusMissing, match="nowhere"):
        await look(check_opus)


async def test_open_files_are_enough_or_not():
    assert_ok(only(await look(check_open_files)))
    assert_warns(judge_open_files(256, 256, 200), "LimitNOFILE", setting="limits.calls")


async def test_the_disk_is_written_and_left_as_it_was(tmp_path):
    space, sync = await look(check_disk, tmp_path)
    assert_ok(sync, "ms")
    assert space.check == "disk"
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path):
    space, _ = await look(check_disk, tmp_path / "a" / "b")
    assert "not there yet" in space.found
    assert existing(tmp_path / "a" / "b") == tmp_path
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine, "sync_seconds", refuse)
    assert_fails(only(await look(check_disk, tmp_path)), "Permission denied", setting="data.dir")


def test_space_is_judged_by_what_recordings_must_leave():
    assert_ok(judge_space("data", 5000.0, 500.0), "5.0 GB")
    assert_warns(judge_space("data", 900.0, 500.0), "500 MB", setting="recording.kept_days")
    assert_fails(judge_space("data", 400.0, 500.0), setting="recording.least_free_mb")


def test_a_slow_disk_is_told():
    assert_warns(judge_sync(0.2), "200.0 ms", setting="data.dir")


async def test_a_database_is_written_and_left_as_it_was(tmp_path):
    path = tmp_path / sqlite.FILE
    with sqlite.connect(path, synchronous="FULL") as connection:
        connection.execute("CREATE TABLE kept (a)")
    connection.close()
    assert_ok(only(await look(check_database, tmp_path)), "1 tables")
    assert try_database(path) == 1


async def test_a_database_that_is_not_there_yet_is_not_made(tmp_path):
    assert_ok(only(await look(check_database, tmp_path)), "first start")
    assert list(tmp_path.iterdir()) == []


async def test_a_damaged_database_is_told(tmp_path):
    (tmp_path / sqlite.FILE).write_bytes(b"not a database at all" * 100)
    assert_fails(only(await look(check_database, tmp_path)), "not a database", setting="data.dir")


async def test_a_locked_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "LOCK_SECONDS", 0.05)
    holder = sqlite3.connect(tmp_path / sqlite.FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert_fails(only(await look(check_database, tmp_path)), "locked", setting="data.dir")
    finally:
        holder.close()
