"""libopus, open files and the disk."""

import pytest

from bridge.cli.doctor import machine
from bridge.cli.doctor.machine import (
    check_disk,
    check_open_files,
    check_opus,
    evaluate_open_files,
    evaluate_space,
    evaluate_sync,
    existing,
)
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
    assert_warns(evaluate_open_files(256, 256, 200), "LimitNOFILE", setting="limits.calls")


async def test_the_disk_is_written_and_left_as_it_was(tmp_path):
    _, sync = await look(check_disk, tmp_path)
    assert_ok(sync, "ms")
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
    assert_ok(evaluate_space("data", 5000.0, 500.0), "5.0 GB")
    assert_warns(evaluate_space("data", 900.0, 500.0), "500 MB", setting="recording.kept_days")
    assert_fails(evaluate_space("data", 400.0, 500.0), setting="recording.min_free_mb")


def test_a_slow_disk_is_told():
    assert_warns(evaluate_sync(0.2), "200.0 ms", setting="data.dir")
