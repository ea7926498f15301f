"""What becomes of recordings once they have ended: copied, moved up, deleted; and when that fails."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import cast

import pytest
from typing_extensions import override

from bridge.audio.file.formats import OGG, WAV
from bridge.audio.file.wav import make_header
from bridge.backoff import Backoff
from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest, Written
from bridge.db.sqlite import Sqlite
from bridge.errors import DatabaseFailed, DatabaseLost, NotFound, StoreFailed
from bridge.media.disk_space import DiskSpace
from bridge.media.recording.archive import Archive
from bridge.media.recording.uploader import Intervals, RecordingUploader
from bridge.metrics.recording import RecordingMetrics
from bridge.settings.recording import S3
from bridge.settings.recording import Recording as RecordingSettings
from bridge.stores.recording_files import FileLocation
from tests.support.databases import open_database
from tests.support.waiting import until, until_answer

SALES, CALL = LineName("sales"), CallId("00" + "A" * 30)


class Shelf:
    """A store in memory that fails as it is told."""

    def __init__(self):
        self.objects: dict[str, bytes] = {}
        self.fails = ""
        self.tries: list[str] = []
        self.holds: asyncio.Event | None = None

    async def put(self, key, path, content_type):
        self.tries.append(key)
        content = path.read_bytes()
        if self.holds is not None:
            await self.holds.wait()
        self._check()
        self.objects[key] = content

    async def delete(self, key):
        self._check()
        self.objects.pop(key, None)

    async def link(self, key, seconds):
        return f"https://store.example/{key}"

    async def read(self, key, start, end):
        yield self.objects[key][start:end]

    def _check(self):
        if self.fails:
            raise StoreFailed("no", reason=self.fails)


class Counted:
    """Notes what is counted."""

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self.spool = {}
        self.free = 0

    def upload(self, outcome):
        self.counts[f"upload {outcome}"] += 1

    def copy(self, outcome):
        self.counts[f"copy {outcome}"] += 1

    def set_spool(self, **figures):
        self.spool = figures

    def set_free_bytes(self, free):
        self.free = free


class House:
    """An archive, its uploader and what both tell."""

    def __init__(self, database, folder, shelf, ogg=()):
        chosen = RecordingSettings(ogg=list(ogg), s3=S3(bucket="store" if shelf else ""))
        self.archive = Archive(database, folder, chosen)
        self.folder = folder
        self.metrics = Counted()
        self.told: list[tuple[str, str]] = []
        self.uploader = RecordingUploader(
            self.archive,
            store=shelf,
            space=DiskSpace(folder, 0),
            counters=cast("RecordingMetrics", self.metrics),
            on_file=lambda file, recording: self.told.append((file.format, file.place)),
            intervals=Intervals(metrics=0.01, poll=0.01, backoff=Backoff(0.01, 300.0)),
        )

    async def record(self, kind="mixed", seconds=1.0):
        [begun] = await self.archive.begin(SALES, CALL, RecordingRequest((kind,)))
        pcm = bytes(round(seconds * 32000))
        self.archive.path(begun).write_bytes(make_header(len(pcm)) + pcm)
        size = len(pcm) + 44
        ended = await self.archive.finish(begun, Written(size, seconds))
        self.uploader.wake()
        return ended

    def local(self):
        return sorted(path.name for path in (self.folder / "recordings").rglob("*.*"))

    async def places(self, recording):
        return {
            file.format: file.place for file in await self.archive.files.of(recording.recording_id)
        }

    async def is_stored(self, recording):
        return await self.places(recording) == {WAV: FileLocation.STORE}


@pytest.fixture
async def database(tmp_path):
    database = open_database(Sqlite(tmp_path / "test.sqlite3"))
    yield database
    await database.aclose()


@asynccontextmanager
async def at_work(house):
    task = asyncio.get_running_loop().create_task(house.uploader.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_without_a_store_files_stay_in_the_folder(database, tmp_path):
    house = House(database, tmp_path, None, ogg=["mixed"])
    async with at_work(house):
        recording = await house.record()
        await until(lambda: house.told)
    assert house.told == [(OGG, FileLocation.LOCAL)]
    assert await house.places(recording) == {WAV: FileLocation.LOCAL, OGG: FileLocation.LOCAL}
    assert len(house.local()) == 2


async def test_a_file_is_deleted_here_only_once_it_is_in_the_store(database, tmp_path):
    shelf = Shelf()
    shelf.holds = asyncio.Event()
    house = House(database, tmp_path, shelf)
    async with at_work(house):
        recording = await house.record()
        await until(lambda: shelf.tries)
        assert len(house.local()) == 1
        shelf.holds.set()
        await until(lambda: not house.local())
    assert len(shelf.objects[recording.key]) == recording.size_bytes
    assert await house.places(recording) == {WAV: FileLocation.STORE}


async def test_a_process_that_is_killed_in_the_middle_moves_the_file_at_its_next_start(
    database, tmp_path
):
    shelf = Shelf()
    shelf.holds = asyncio.Event()
    house = House(database, tmp_path, shelf)
    async with at_work(house):
        recording = await house.record()
        await until(lambda: shelf.tries)
    assert len(house.local()) == 1
    shelf.holds.set()
    async with at_work(House(database, tmp_path, shelf)):
        await until(lambda: not house.local())
    assert recording.key in shelf.objects


def test_a_store_that_fails_is_tried_less_and_less_often():
    delays = [Intervals().backoff.after(failures) for failures in (1, 2, 3, 4, 9, 10, 10_000)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 256.0, 300.0, 300.0]


async def test_a_store_that_failed_gets_all_that_waited(database, tmp_path):
    shelf = Shelf()
    shelf.fails = "unreachable"
    house = House(database, tmp_path, shelf)
    tracks = [await house.record(kind) for kind in ("inbound", "mixed")]
    async with at_work(house):
        await until(lambda: house.metrics.counts["upload unreachable"] >= 5)
        assert shelf.objects == {}
        shelf.fails = ""
        await until(lambda: {track.key for track in tracks} == shelf.objects.keys())


async def test_one_file_that_the_store_does_not_take_holds_up_no_other(database, tmp_path):
    class Choosy(Shelf):
        @override
        async def put(self, key, path, content_type):
            self.fails = "denied" if ".outbound" in key else ""
            await super().put(key, path, content_type)

    shelf = Choosy()
    house = House(database, tmp_path, shelf)
    refused = await house.record("outbound")
    others = [await house.record(kind) for kind in ("inbound", "mixed")]
    async with at_work(house):
        await until(lambda: {track.key for track in others} <= shelf.objects.keys())
        await until(lambda: shelf.tries.count(refused.key) >= 3)
    assert house.local() == [refused.key.rpartition("/")[2]]


async def test_a_file_that_somebody_took_away_is_given_up(database, tmp_path):
    shelf = Shelf()
    house = House(database, tmp_path, shelf)
    lost, kept = await house.record("inbound"), await house.record("mixed")
    house.archive.path(lost).unlink()

    async def given_up() -> bool:
        return not await house.places(lost)

    async with at_work(house):
        await until(lambda: kept.key in shelf.objects)
        await until_answer(given_up)


async def test_the_copy_is_made_before_its_source_is_moved_up(database, tmp_path):
    shelf = Shelf()
    house = House(database, tmp_path, shelf, ogg=["mixed"])
    async with at_work(house):
        recording = await house.record()
        await until(lambda: len(shelf.objects) == 2)
        await until(lambda: not house.local())
    assert house.told[0] == (OGG, FileLocation.LOCAL)
    assert sorted(house.told[1:]) == [(OGG, FileLocation.STORE), (WAV, FileLocation.STORE)]
    assert shelf.objects[recording.key.replace(".wav", ".ogg")][:4] == b"OggS"


async def test_a_copy_that_cannot_be_made_is_counted_and_holds_up_nothing(database, tmp_path):
    shelf = Shelf()
    house = House(database, tmp_path, shelf, ogg=["mixed"])
    recording = await house.record()
    house.archive.path(recording).write_bytes(b"no sound at all")
    async with at_work(house):
        await until_answer(lambda: house.is_stored(recording))
    assert house.metrics.counts["copy failed"] == 1


async def test_what_is_deleted_on_its_way_up_is_deleted_in_the_store(database, tmp_path):
    shelf = Shelf()
    shelf.holds = asyncio.Event()
    house = House(database, tmp_path, shelf)
    async with at_work(house):
        recording = await house.record()
        await until(lambda: shelf.tries)
        await house.archive.delete(recording)
        shelf.holds.set()
        await until(lambda: house.metrics.counts["upload stored"])
        house.uploader.wake()
        await until(lambda: not shelf.objects)
    assert house.local() == []


async def test_what_waits_is_measured(database, tmp_path):
    shelf = Shelf()
    shelf.fails = "timeout"
    house = House(database, tmp_path, shelf)
    await house.record()
    async with at_work(house):
        await until(lambda: house.metrics.spool.get("files") == 1)
        await until(lambda: house.metrics.counts["upload timeout"] >= 2)
        assert house.metrics.spool["size_bytes"] == 32_044
        assert house.metrics.free > 0
        shelf.fails = ""
        await until(lambda: house.metrics.spool["files"] == 0)


@pytest.mark.parametrize("failure", [DatabaseFailed("no"), NotFound("deleted meanwhile")])
async def test_what_fails_for_a_while_ends_nothing(database, tmp_path, monkeypatch, failure):
    shelf = Shelf()
    house = House(database, tmp_path, shelf)
    recording = await house.record()
    working = house.archive.files.next

    async def failing(place):
        monkeypatch.setattr(house.archive.files, "next", working)
        raise failure

    monkeypatch.setattr(house.archive.files, "next", failing)
    async with at_work(house):
        await until(lambda: recording.key in shelf.objects)


@pytest.mark.parametrize(("store", "final"), [(None, True), (Shelf(), False)])
async def test_while_the_database_is_lost_a_file_here_is_final_without_a_store_alone(
    database, tmp_path, monkeypatch, store, final
):
    house = House(database, tmp_path, store)
    recording = await house.record()

    async def lost(recording_id):
        raise DatabaseLost("the database cannot be reached")

    monkeypatch.setattr(house.archive.files, "of", lost)
    assert await house.uploader.upload_now(recording, seconds=1.0) is final
