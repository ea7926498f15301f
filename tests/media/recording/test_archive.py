"""The rows of recordings: begun, finished, found, deleted, and taken over after a crash."""

import asyncio
from datetime import UTC, datetime

import pytest

from bridge.audio.file.wav import make_header, parse_wav
from bridge.call.model import CallId, LineName
from bridge.call.recording import RecordingRequest, Written
from bridge.errors import DatabaseFailed, NotFound
from bridge.media.recording.archive import Archive
from bridge.settings.recording import S3
from bridge.settings.recording import Recording as RecordingSettings
from bridge.stores.recording_files import FileLocation
from bridge.stores.share import Share
from tests.support.databases import open_database

STORE = S3(bucket="store")
SALES, OTHER = LineName("sales"), LineName("other")
CALL, LATER = CallId("00" + "A" * 30), CallId("00" + "B" * 30)
ELSEWHERE, BEYOND = CallId("01" + "A" * 30), CallId("05" + "A" * 30)


@pytest.fixture
async def database(engine):
    database = open_database(engine)
    yield database
    await database.aclose()


def opened(
    database, folder, *, node=0, living=((0, "here"),), machine="here", shared=False, **rules
):
    chosen = RecordingSettings(**({"ogg": []} | rules))
    return Archive(database, folder, chosen, Share(machine, node, lambda: living), shared=shared)


@pytest.fixture
def archive(database, tmp_path):
    return opened(database, tmp_path)


def write(archive, recording, seconds=1.0, content=None):
    pcm = bytes(round(seconds * 32000))
    archive.path(recording).write_bytes(make_header(len(pcm)) + pcm if content is None else content)


async def finished(archive, recording, seconds=1.0):
    write(archive, recording, seconds)
    size = round(seconds * 32000) + 44
    return await archive.finish(recording, Written(size, seconds))


async def test_a_recording_lies_by_day_under_its_calls_id(archive):
    tracks = await archive.begin(SALES, CALL)
    day = f"{datetime.now(UTC):%Y/%m/%d}"
    assert [track.key for track in tracks] == [
        f"recordings/{day}/{CALL}.wav",
        f"recordings/{day}/{CALL}.outbound.wav",
        f"recordings/{day}/{CALL}.mixed.wav",
    ]
    assert all(archive.path(track).parent.is_dir() for track in tracks)
    assert {track.status for track in tracks} == {"recording"}


async def test_a_second_recording_of_a_call_has_files_of_its_own(archive):
    first = await archive.begin(SALES, CALL)
    second = await archive.begin(SALES, CALL)
    assert not {track.key for track in first} & {track.key for track in second}


async def test_a_key_is_not_used_again_while_its_object_is_still_to_be_deleted(database, tmp_path):
    archive = opened(database, tmp_path, s3=STORE)
    [first] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    await archive.delete(await finished(archive, first))
    [second] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    assert second.key != first.key


async def test_what_ended_is_found_by_its_call_and_by_its_id(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    ended = await finished(archive, begun, 2.0)
    assert (ended.status, ended.seconds, ended.size_bytes) == ("completed", 2.0, 64_044)
    assert ended.ended_at is not None
    assert await archive.of_call(SALES, CALL) == [ended]
    assert await archive.find(ended.recording_id, SALES) == ended


async def test_another_lines_recording_is_not_found(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    assert await archive.of_call(OTHER, CALL) == []
    with pytest.raises(NotFound):
        await archive.find(begun.recording_id, OTHER)


async def test_it_is_known_which_calls_are_being_recorded(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    assert await archive.being_recorded(SALES, [CALL, LATER]) == {CALL}
    await finished(archive, begun)
    assert await archive.being_recorded(SALES, [CALL, LATER]) == set()


@pytest.mark.parametrize("kind", ["inbound", "mixed"])
async def test_an_ogg_copy_is_wanted_of_the_kinds_that_are_set(database, tmp_path, kind):
    archive = opened(database, tmp_path, ogg=["mixed"])
    [begun] = await archive.begin(SALES, CALL, RecordingRequest((kind,)))
    await finished(archive, begun)
    wanted = await archive.files.next(FileLocation.WANTED)
    assert (wanted is not None) == (kind == "mixed")
    assert wanted is None or wanted.key == begun.key.replace(".wav", ".ogg")


async def test_no_copy_is_wanted_of_what_has_no_sound(database, tmp_path):
    archive = opened(database, tmp_path, ogg=["mixed"])
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    await finished(archive, begun, 0.0)
    assert await archive.files.next(FileLocation.WANTED) is None
    assert len(await archive.files.of(begun.recording_id)) == 1


async def test_a_path_that_a_caller_chose_is_kept_where_it_is(database, tmp_path):
    archive = opened(database, tmp_path, ogg=["inbound"], s3=STORE)
    [begun] = await archive.begin(
        SALES, CALL, RecordingRequest(("inbound",), key="files/calls/a.wav")
    )
    await finished(archive, begun)
    [file] = await archive.files.of(begun.recording_id)
    assert (file.key, file.place) == ("files/calls/a.wav", FileLocation.KEPT)
    assert await archive.files.next(FileLocation.WANTED) is None


async def test_what_failed_before_anything_was_written_has_no_file(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    ended = await archive.finish(begun, Written(0, 0), failed=True)
    assert ended.status == "failed"
    assert await archive.files.of(begun.recording_id) == []


async def test_what_failed_later_keeps_what_was_written(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    await archive.finish(begun, Written(32_044, 1), failed=True)
    [file] = await archive.files.of(begun.recording_id)
    assert file.size_bytes == 32_044


async def test_what_is_deleted_is_gone_row_and_files(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    await archive.delete(await finished(archive, begun))
    assert not archive.path(begun).exists()
    assert await archive.files.of(begun.recording_id) == []
    with pytest.raises(NotFound):
        await archive.find(begun.recording_id, SALES)


async def test_what_was_kept_long_enough_is_swept_and_the_rest_is_not(database, tmp_path):
    old, new = opened(database, tmp_path, kept_days=-1.0), opened(database, tmp_path)
    [over, going_on] = await old.begin(SALES, CALL, RecordingRequest(("inbound", "mixed")))
    [kept] = await new.begin(SALES, LATER, RecordingRequest(("mixed",)))
    for track in (over, kept):
        await finished(new, track)
    assert await new.sweep() == 1
    assert not new.path(over).exists()
    assert new.path(kept).exists()
    assert [track.recording_id for track in await new.of_call(SALES, CALL)] == [
        going_on.recording_id
    ]


async def test_a_recording_is_kept_for_30_days_unless_it_is_set_otherwise(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    kept = datetime.fromisoformat(begun.expires_at) - datetime.fromisoformat(begun.started_at)
    assert kept.days == 30


async def test_what_a_killed_process_left_is_finished_with_a_head_that_counts_it(
    archive, database, tmp_path
):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    write(archive, begun, content=make_header(320) + bytes(64_000))
    later = opened(database, tmp_path)
    [found] = await later.finish_interrupted()
    assert (found.status, found.seconds, found.size_bytes) == ("completed", 2.0, 64_044)
    assert len(parse_wav(archive.path(found).read_bytes()).pcm) == 64_000
    assert await later.finish_interrupted() == []


async def test_what_is_recorded_now_is_not_taken_for_what_a_killed_process_left(database, tmp_path):
    archive = opened(database, tmp_path)
    await asyncio.sleep(0.002)  # the time is kept in milliseconds
    await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    assert await archive.finish_interrupted() == []


async def test_what_was_killed_before_it_wrote_anything_has_failed(archive, database, tmp_path):
    await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    [found] = await opened(database, tmp_path).finish_interrupted()
    assert (found.status, found.size_bytes) == ("failed", 0)


async def test_a_node_takes_over_from_itself_and_the_first_from_nodes_that_are_no_more(
    database, tmp_path
):
    before = opened(database, tmp_path)
    for call in (CALL, ELSEWHERE, BEYOND):
        await before.begin(SALES, call, RecordingRequest(("mixed",)))
    living = [(0, "here"), (1, "here")]
    first = opened(database, tmp_path, node=0, living=living)
    second = opened(database, tmp_path, node=1, living=living)
    assert {found.call_id for found in await second.finish_interrupted()} == {ELSEWHERE}
    assert {found.call_id for found in await first.finish_interrupted()} == {CALL, BEYOND}


async def test_recordings_of_another_machine_are_left_to_it_until_it_returns(database, tmp_path):
    there = opened(database, tmp_path / "there", machine="there")
    [begun] = await there.begin(SALES, BEYOND, RecordingRequest(("mixed",)))
    write(there, begun)
    assert await opened(database, tmp_path).finish_interrupted() == []
    back = opened(
        database, tmp_path / "there", node=7, machine="there", living=[(0, "here"), (7, "there")]
    )
    [found] = await back.finish_interrupted()
    assert (found.status, found.seconds) == ("completed", 1.0)


async def test_what_is_deleted_elsewhere_is_deleted_by_the_machine_that_has_the_file(
    database, tmp_path
):
    there = opened(database, tmp_path / "there", machine="there", living=[(0, "there")])
    [begun] = await there.begin(SALES, CALL, RecordingRequest(("mixed",)))
    ended = await finished(there, begun)
    await opened(database, tmp_path).delete(ended)
    assert await there.of_call(SALES, CALL) == []
    assert there.path(begun).exists()
    assert await there.unlink_deleted() == 1
    assert not there.path(begun).exists()
    assert await there.unlink_deleted() == 0


async def test_rows_of_earlier_versions_are_this_machines(database, tmp_path):
    earlier = opened(database, tmp_path, machine="")
    [begun] = await earlier.begin(SALES, CALL, RecordingRequest(("mixed",)))
    await finished(earlier, begun)
    now = opened(database, tmp_path, shared=True)
    await now.adopt()
    [file] = await now.files.of(begun.recording_id)
    assert (file.machine, (await now.find(begun.recording_id)).machine) == ("here", "here")


async def test_a_recording_whose_end_is_known_ends_no_second_time(archive):
    [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
    assert await finished(archive, begun) is not None
    assert await finished(archive, begun) is None


async def test_a_recording_begins_and_ends_while_the_database_takes_only_what_is_appended(
    archive, database, monkeypatch
):
    async def unreachable(*_args, **_kwargs):
        raise DatabaseFailed("unreachable")

    with monkeypatch.context() as patch:
        patch.setattr(database, "run", unreachable)
        [begun] = await archive.begin(SALES, CALL, RecordingRequest(("mixed",)))
        ended = await finished(archive, begun, 2.0)
    assert (ended.status, ended.seconds) == ("completed", 2.0)
    [found] = await archive.of_call(SALES, CALL)
    assert (found.status, found.seconds, found.size_bytes) == ("completed", 2.0, 64_044)
    assert len(await archive.files.of(begun.recording_id)) == 1
