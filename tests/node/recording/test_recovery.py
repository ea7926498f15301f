"""Recordings of processes and machines that are no more."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.audio.file.formats import OGG
from bridge.audio.file.ogg import OggWriter
from bridge.audio.file.wav import make_header, parse_wav
from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest, parts_of
from bridge.db.sqlite import Sqlite
from bridge.media.recording.archive import Archive
from bridge.media.recording.live_parts import PART_BYTES
from bridge.node.recording.recovery import RecordingRecovery, RecoveryIntervals
from bridge.settings.recording import S3
from bridge.settings.recording import Recording as RecordingSettings
from bridge.stores import nodes
from bridge.stores.nodes import Member
from bridge.stores.recording_files import FileLocation
from bridge.stores.share import Share
from tests.support.databases import open_database
from tests.support.servers.part_store import PartShelf
from tests.support.waiting import until

LINE, CALL = LineName("sales"), CallId("05" + "A" * 30)
MIXED = RecordingRequest(("mixed",))


@pytest.fixture
async def database(tmp_path):
    database = open_database(Sqlite(tmp_path / "test.sqlite3"))
    yield database
    await database.aclose()


def archive(database, folder, machine, node, living):
    chosen = RecordingSettings(ogg=[], s3=S3(bucket="store", live=True))
    share = Share(machine, node, lambda: living)
    return Archive(database, folder / machine, chosen, share, shared=True)


@asynccontextmanager
async def recovering(kept, parts, *, gone=0.0):
    ended: list[tuple[str, str]] = []
    recovery = RecordingRecovery(
        kept,
        store=parts,
        on_ended=lambda recording, reason: ended.append((recording.status, reason)),
        intervals=RecoveryIntervals(poll=0.01, retry=0.01, gone=gone),
    )
    task = asyncio.get_running_loop().create_task(recovery.run())
    try:
        yield ended
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def lost_with_parts(database, folder, parts):
    """Leave what a machine leaves in the store and the database that is lost after two parts."""
    there = archive(database, folder, "there", 5, [(5, "there")])
    [begun] = await there.begin(LINE, CALL, MIXED)
    there.path(begun).write_bytes(make_header(0) + bytes(3 * PART_BYTES))
    for number in range(2):
        key = f"{parts_of(begun.recording_id)}{number:05d}"
        parts.objects[key] = bytes([number + 1]) * PART_BYTES
    return there, begun


async def test_parts_of_a_machine_that_is_gone_become_a_recording_here(database, tmp_path):
    parts = PartShelf()
    there, begun = await lost_with_parts(database, tmp_path, parts)
    here = archive(database, tmp_path, "here", 0, [(0, "here")])
    async with recovering(here, parts) as ended:
        await until(lambda: ended)
    assert ended == [("completed", "cut_off")]
    found = await here.find(begun.recording_id)
    assert (found.status, found.seconds, found.machine) == ("completed", 10.0, "here")
    assert len(parse_wav(here.path(found).read_bytes()).pcm) == 2 * PART_BYTES
    [file] = await here.files.of(begun.recording_id)
    assert (file.place, file.machine) == (FileLocation.LOCAL, "here")
    # The machine returns: its file is one too many.
    async with recovering(there, parts):
        await until(lambda: not there.path(begun).exists())


async def test_parts_are_deleted_once_the_whole_is_stored(database, tmp_path):
    parts = PartShelf()
    _, begun = await lost_with_parts(database, tmp_path, parts)
    here = archive(database, tmp_path, "here", 0, [(0, "here")])
    async with recovering(here, parts) as ended:
        await until(lambda: ended)
    [file] = await here.files.of(begun.recording_id)
    await here.files.move(file, FileLocation.STORE, file.size_bytes)
    assert await here.files.next_deletion() == parts_of(begun.recording_id)


async def test_nobody_assembles_what_a_living_machine_records(database, tmp_path):
    parts = PartShelf()
    await lost_with_parts(database, tmp_path, parts)
    here = archive(database, tmp_path, "here", 0, [(0, "here"), (5, "there")])
    async with recovering(here, parts) as ended:
        await asyncio.sleep(0.1)
    assert ended == []


async def test_a_machine_that_has_just_gone_is_waited_for(database, tmp_path):
    parts = PartShelf()
    await lost_with_parts(database, tmp_path, parts)
    here = archive(database, tmp_path, "here", 0, [(0, "here")])
    async with recovering(here, parts, gone=60.0) as ended:
        await asyncio.sleep(0.1)
    assert ended == []


async def test_only_the_first_process_assembles(database, tmp_path):
    parts = PartShelf()
    await lost_with_parts(database, tmp_path, parts)
    second = archive(database, tmp_path, "here", 3, [(0, "other"), (3, "here")])
    async with recovering(second, parts) as ended:
        await asyncio.sleep(0.1)
    assert ended == []


async def test_a_recording_without_parts_waits_for_its_machine(database, tmp_path):
    _, begun = await lost_with_parts(database, tmp_path, PartShelf())
    here = archive(database, tmp_path, "here", 0, [(0, "here")])
    async with recovering(here, PartShelf()) as ended:
        await asyncio.sleep(0.1)
    assert ended == []
    assert not here.path(begun).exists()


async def test_a_process_that_dies_is_finished_by_another_of_its_machine(database, tmp_path):
    dead = archive(database, tmp_path, "here", 5, [(5, "here")])
    [begun] = await dead.begin(LINE, CALL, MIXED)
    dead.path(begun).write_bytes(make_header(0) + bytes(32_000))
    living = [(0, "here"), (5, "here")]
    first = archive(database, tmp_path, "here", 0, living)
    async with recovering(first, PartShelf()) as ended:
        await asyncio.sleep(0.05)
        assert ended == []
        living.pop()
        await until(lambda: ended)
    assert ended == [("completed", "cut_off")]


async def test_a_store_that_fails_does_not_delay_what_is_on_the_disk(database, tmp_path):
    parts = PartShelf()
    parts.fails = True
    await lost_with_parts(database, tmp_path, parts)
    living = [(0, "here"), (6, "here")]
    dead = archive(database, tmp_path, "here", 6, living)
    [begun] = await dead.begin(LINE, CallId("06" + "B" * 30), MIXED)
    dead.path(begun).write_bytes(make_header(0) + bytes(32_000))
    async with recovering(archive(database, tmp_path, "here", 0, living), parts) as ended:
        await asyncio.sleep(0.05)
        living.pop()
        await until(lambda: len(ended) == 1)
        parts.fails = False
        await until(lambda: len(ended) == 2)


async def test_nobody_finishes_what_a_process_records_that_has_just_joined(database, tmp_path):
    new = archive(database, tmp_path, "here", 5, [(5, "here")])
    [begun] = await new.begin(LINE, CALL, MIXED)
    new.path(begun).write_bytes(make_header(0) + bytes(32_000))
    joined = Member(node=5, boot="joined", machine="here")

    def begin_call(connection):
        nodes.register(connection, joined, launch_id="run", now=0.0)
        connection.execute(
            "INSERT INTO open_calls (call_id, node, body, boot) VALUES (?, 5, ?, 'joined')",
            (CALL, b""),
        )

    await database.run(begin_call)
    first = archive(database, tmp_path, "here", 0, [(0, "here")])  # who does not know it yet
    async with recovering(first, PartShelf()) as ended:
        await asyncio.sleep(0.1)
        assert ended == []
        await database.run(nodes.end, ["joined"], now=1.0)
        await until(lambda: ended)


async def test_packets_of_a_killed_process_are_whole_and_their_mix_is_still_to_be_made(
    database, tmp_path
):
    dead = archive(database, tmp_path, "here", 5, [(5, "here")])
    tracks = await dead.begin(LINE, CALL, RecordingRequest(("inbound", "mixed"), file_format=OGG))
    writer = OggWriter(1)
    whole = writer.head() + writer.pages([(b"\xf8\xff\xfe", 960)] * 100)
    cut_off = whole + writer.pages([(b"\xf8\xff\xfe", 960)] * 50)[:60]
    for key in (tracks[0].key, *tracks[1].mixed_from):
        (dead.folder / key).write_bytes(cut_off)
    here = archive(database, tmp_path, "here", 0, [(0, "here")])
    async with recovering(here, PartShelf()) as ended:
        await until(lambda: len(ended) == 2)
    assert set(ended) == {("completed", "cut_off")}
    found = {one.kind: one for one in await here.of_call(LINE, CALL)}
    assert {one.seconds for one in found.values()} == {(100 * 960 - 312) / 48_000}
    assert found["inbound"].size_bytes == len(whole)
    [mix] = await here.files.waiting(found["mixed"].recording_id)
    assert (mix.format, mix.key) == (OGG, found["mixed"].key)
