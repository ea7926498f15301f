"""Copies and mixes of recordings of packets, made after the call or when they are requested."""

import asyncio

import pytest

from bridge.audio.file.formats import OGG, WAV
from bridge.audio.file.ogg import PRE_SKIP, OggWriter
from bridge.audio.file.wav import parse_wav
from bridge.call.recording import CONVERTING, RecordingRequest, Written
from bridge.db.sqlite import Sqlite
from bridge.errors import NotFound
from bridge.stores.recording_files import FileLocation
from tests.media.recording.test_uploader import CALL, SALES, House, Shelf
from tests.support.databases import open_database
from tests.support.packets.opus_packets import encode
from tests.support.sound.speech_compare import tone

pytestmark = pytest.mark.real_time
PACKETS = [(packet, 960) for packet in encode(tone(1))]


@pytest.fixture
async def database(tmp_path):
    database = open_database(Sqlite(tmp_path / "test.sqlite3"))
    yield database
    await database.aclose()


async def record(house, kind="inbound", file_format=WAV):
    [begun] = await house.archive.begin(
        SALES, CALL, RecordingRequest((kind,), copy_format=file_format, file_format=OGG)
    )
    writer = OggWriter(1)
    content = writer.head() + writer.pages(PACKETS[:49], end=48 * 960 + PRE_SKIP)
    for key in begun.mixed_from or (begun.key,):
        (house.folder / key).write_bytes(content)
    return await house.archive.finish(begun, Written(len(content), 0.96))


def names(folder):
    return sorted(path.name for path in (folder / "recordings").rglob("*.*"))


async def test_a_wav_is_made_when_it_is_requested_and_kept(database, tmp_path):
    house = House(database, tmp_path, None)
    recording = await record(house)
    made = await house.uploader.copies.on_demand(recording, WAV)
    assert made is not None
    content = (tmp_path / made.key).read_bytes()
    assert len(parse_wav(content).pcm) == 48 * 640
    assert made.size_bytes == len(content) == 44 + 48 * 640
    assert await house.places(recording) == {OGG: FileLocation.LOCAL, WAV: FileLocation.LOCAL}
    await house.archive.delete(recording)
    assert names(tmp_path) == []


async def test_requests_at_the_same_time_make_one_wav(database, tmp_path):
    house = House(database, tmp_path, None)
    recording = await record(house)
    asked = [house.uploader.copies.on_demand(recording, WAV) for _ in range(3)]
    assert len(set(await asyncio.gather(*asked))) == 1
    assert house.metrics.counts["copy made"] == 1


async def test_the_wav_of_a_stored_recording_is_made_of_the_object(database, tmp_path):
    shelf = Shelf()
    house = House(database, tmp_path, shelf)
    recording = await record(house)
    assert await house.uploader.upload_now(recording, seconds=10)
    assert names(tmp_path) == []
    made = await house.uploader.copies.on_demand(recording, WAV)
    assert made is not None
    assert len(parse_wav((tmp_path / made.key).read_bytes()).pcm) == 48 * 640
    assert list((tmp_path / CONVERTING).iterdir()) == []


async def test_a_mix_is_made_once_and_its_sides_are_deleted(database, tmp_path):
    house = House(database, tmp_path, None)
    recording = await record(house, "mixed", OGG)
    [waiting] = await house.archive.files.waiting(recording.recording_id)
    await asyncio.gather(*(house.uploader.copies.make(waiting) for _ in range(2)))
    assert house.metrics.counts == {"copy made": 1}
    assert house.told == [(OGG, FileLocation.LOCAL)]
    assert names(tmp_path) == [f"{CALL}.mixed.ogg"]
    found = await house.archive.find(recording.recording_id)
    assert found.size_bytes == (tmp_path / recording.key).stat().st_size > 0


async def test_a_copy_of_a_mix_waits_for_the_mix(database, tmp_path):
    house = House(database, tmp_path, None)
    recording = await record(house, "mixed", "webm")
    waiting = await house.archive.files.waiting(recording.recording_id)
    copy = next(file for file in waiting if file.format == "webm")
    await house.uploader.copies.make(copy)
    assert set(await house.places(recording)) == {OGG, "webm"}


async def test_a_mix_that_cannot_be_made_is_a_failed_recording_whose_sides_are_kept(
    database, tmp_path
):
    house = House(database, tmp_path, None)
    recording = await record(house, "mixed")
    (tmp_path / recording.mixed_from[0]).write_bytes(b"no Ogg")
    assert await house.uploader.copies.on_demand(recording, OGG) is None
    assert (await house.archive.find(recording.recording_id)).status == "failed"
    assert len(names(tmp_path)) == 2
    await house.archive.delete(recording)
    assert names(tmp_path) == []


async def test_what_reads_a_recording_gets_a_wav_that_is_not_kept(database, tmp_path):
    house = House(database, tmp_path, None)
    recording = await record(house)
    async with house.uploader.copies.temporary_wav(recording) as path:
        assert len(parse_wav(path.read_bytes()).pcm) == 48 * 640
    assert names(tmp_path) == [f"{CALL}.ogg"]


async def test_a_recording_without_a_file_cannot_be_read(database, tmp_path):
    house = House(database, tmp_path, None)
    recording = await record(house)
    (tmp_path / recording.key).unlink()
    with pytest.raises(NotFound):
        async with house.uploader.copies.temporary_wav(recording):
            pass
