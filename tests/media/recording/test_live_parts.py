"""Parts of recordings that go on: uploaded, skipped, assembled."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from bridge.audio.file.wav import make_header, parse_wav
from bridge.call.recording import Written, parts_of
from bridge.media.recording.live_parts import (
    LOOK_SECONDS,
    MAX_BEHIND,
    PART_BYTES,
    LiveParts,
    assemble,
)
from tests.support.servers.part_store import PartShelf

PREFIX = parts_of("rec_1")


class Track:
    """A file that grows."""

    def __init__(self, path):
        self.path = path
        self.written_bytes = 0
        path.write_bytes(make_header(0))

    def grow(self, parts):
        """Add this many parts, each of one value, its number."""
        with self.path.open("ab") as file:
            for _ in range(parts):
                file.write(bytes([self.written_bytes // PART_BYTES]) * PART_BYTES)
                self.written_bytes += PART_BYTES


@asynccontextmanager
async def at_work(parts):
    task = asyncio.get_running_loop().create_task(parts.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def track(tmp_path):
    return Track(tmp_path / "a.wav")


async def looked():
    """Wait until every worker has looked, and done what there was to do."""
    await asyncio.sleep(2.1 * LOOK_SECONDS)


@pytest.mark.virtual_time
async def test_complete_parts_are_uploaded_while_the_file_grows(track):
    shelf, counts = PartShelf(), Counter[str]()
    parts = LiveParts(shelf, count=lambda outcome: counts.update([outcome]))
    parts.follow("rec_1", track)
    async with at_work(parts):
        track.grow(1)
        await looked()
        assert list(shelf.objects) == [f"{PREFIX}00000"]
        track.grow(2)
        await looked()
    assert counts == {"stored": 3}
    assert [shelf.objects[f"{PREFIX}0000{number}"][:1] for number in range(3)] == [
        b"\0",
        b"\1",
        b"\2",
    ]


@pytest.mark.virtual_time
async def test_what_waited_for_a_store_in_trouble_is_uploaded_later_and_the_oldest_skipped(track):
    shelf, counts = PartShelf(), Counter[str]()
    parts = LiveParts(shelf, count=lambda outcome: counts.update([outcome]))
    parts.follow("rec_1", track)
    shelf.fails = True
    async with at_work(parts):
        track.grow(MAX_BEHIND + 3)
        await asyncio.sleep(60.0)
        shelf.fails = False
        await asyncio.sleep(60.0)
    assert (counts["skipped"], counts["stored"]) == (3, MAX_BEHIND)
    assert counts["unreachable"] > 3
    assert min(shelf.objects) == f"{PREFIX}00003"


@pytest.mark.virtual_time
async def test_a_store_that_is_stuck_is_given_up_in_time(track):
    shelf, counts = PartShelf(), Counter[str]()
    shelf.holds.clear()
    parts = LiveParts(shelf, count=lambda outcome: counts.update([outcome]))
    parts.follow("rec_1", track)
    track.grow(1)
    async with at_work(parts):
        await asyncio.sleep(12.0)
    assert counts["timeout"] == 1


@pytest.mark.virtual_time
async def test_a_part_that_arrives_after_the_recordings_end_is_deleted(track):
    shelf = PartShelf()
    parts = LiveParts(shelf, count=lambda _: None)
    parts.follow("rec_1", track)
    shelf.holds.clear()
    track.grow(2)
    async with at_work(parts):
        await looked()
        parts.leave("rec_1")
        shelf.holds.set()
        await looked()
    assert shelf.objects == {}


async def test_without_a_store_nothing_is_followed(track):
    parts = LiveParts(None, count=lambda _: None)
    parts.follow("rec_1", track, 3)
    track.grow(2)
    await parts.run()
    assert (parts.next("rec_1"), parts.busy("rec_1")) == (0, False)


def written(size):
    return Written(44 + size, size / 32_000)


async def test_parts_are_assembled_to_a_file_with_a_header_that_counts_them(tmp_path):
    shelf, path = PartShelf(), tmp_path / "deep" / "a.wav"
    for number, length in enumerate((PART_BYTES, PART_BYTES, 640)):
        shelf.objects[f"{PREFIX}{number:05d}"] = bytes([number + 1]) * length
    assert await assemble(shelf, "rec_1", path) == written(2 * PART_BYTES + 640)
    pcm = bytes(parse_wav(path.read_bytes()).pcm)
    assert pcm == b"\1" * PART_BYTES + b"\2" * PART_BYTES + b"\3" * 640
    assert [found.name for found in path.parent.iterdir()] == ["a.wav"]


async def test_a_part_that_was_skipped_is_silence(tmp_path):
    shelf, path = PartShelf(), tmp_path / "a.wav"
    shelf.objects[f"{PREFIX}00002"] = b"\1" * PART_BYTES
    assert await assemble(shelf, "rec_1", path) == written(3 * PART_BYTES)
    assert bytes(parse_wav(path.read_bytes()).pcm)[: 2 * PART_BYTES] == bytes(2 * PART_BYTES)


async def test_no_parts_make_no_file(tmp_path):
    shelf = PartShelf()
    shelf.objects[f"{PREFIX}notes"] = b"not a part"
    assert await assemble(shelf, "rec_1", tmp_path / "a.wav") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.virtual_time
async def test_another_process_goes_on_with_the_next_part(track):
    shelf, counts = PartShelf(), Counter[str]()
    first, second = (
        LiveParts(shelf, count=lambda outcome: counts.update([outcome])) for _ in range(2)
    )
    first.follow("rec_1", track)
    async with at_work(first), at_work(second):
        track.grow(2)
        await looked()
        following = first.next("rec_1")
        assert following == 2
        first.abandon("rec_1")
        second.follow("rec_1", track, following)
        track.grow(1)
        await looked()
    assert counts == {"stored": 3}
    assert sorted(shelf.objects) == [f"{PREFIX}0000{number}" for number in range(3)]
