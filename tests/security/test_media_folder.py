"""One line's files are no other line's: recordings are not played, overwritten or found by guessing."""

import msgspec
import pytest

from bridge.settings.model import Data, Line
from tests.support.inprocess import running, settings
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

MINE, THEIRS = {"token": "mine"}, {"token": "theirs"}
SILENT = "15550100008"
SOUND = wav_file(bytes(3200))


def chosen(folder):
    lines = {"mine": Line(keys=["mine"]), "theirs": Line(keys=["theirs"])}
    return msgspec.structs.replace(settings(lines=lines), data=Data(dir=str(folder)))


@pytest.fixture
async def client(tmp_path):
    async with running(chosen(tmp_path)) as running_client:
        yield running_client


async def ask(client, path, headers, **body):
    async with client.http.post(path, json=body, headers=headers) as response:
        return response.status, (await response.json()).get("data")


async def dial(client, headers):
    return (await ask(client, "/call/dial", headers, phone=SILENT))[1]["callId"]


async def recorded(client, headers, **more):
    """Record a call to a path, and return its id and the path."""
    call_id = await dial(client, headers)
    _, said = await ask(client, "/call/record", headers, CallID=call_id, **more)
    [runner] = [run for run in client.bridge.manager.calls() if run.facts.call_id == call_id]
    await until(lambda: any(getattr(leg, "written_bytes", 0) for leg in runner.legs()))
    await ask(client, "/call/record/stop", headers, callId=call_id)
    return call_id, said["path"]


@pytest.mark.parametrize("above", ["", "../theirs/", "lines/theirs/", "files/lines/theirs/"])
async def test_a_line_does_not_play_another_lines_recording(client, above):
    _, path = await recorded(client, THEIRS)
    call_id = await dial(client, MINE)
    name = above + path.removeprefix("files/")
    status, _ = await ask(client, "/call/play", MINE, CallID=call_id, AudioFile=name)
    assert status in (400, 404)


async def test_the_same_path_of_two_lines_is_two_files(client, tmp_path):
    for line, headers in (("mine", MINE), ("theirs", THEIRS)):
        _, path = await recorded(client, headers, Path="a.wav")
        assert path == f"files/lines/{line}/a.wav"
        assert (tmp_path / path).is_file()


@pytest.mark.parametrize("more", [{}, {"Path": "files/calls/X.wav"}])
async def test_the_path_of_the_only_lines_recording_is_where_it_lies(tmp_path, more):
    lines = {"mine": Line(keys=["mine", "sk_test_mine"])}
    one = msgspec.structs.replace(settings(lines=lines), data=Data(dir=str(tmp_path)))
    async with running(one) as client:
        call_id, path = await recorded(client, MINE, **more)
        assert path == more.get("Path", f"files/calls/{call_id}.wav")
        assert (tmp_path / path).stat().st_size > 44


@pytest.mark.parametrize("path", ["../theirs/a.wav", "lines/theirs/a.wav", "../../a.wav"])
async def test_a_line_records_into_its_own_folder_only(client, tmp_path, path):
    call_id = await dial(client, MINE)
    await ask(client, "/call/record", MINE, CallID=call_id, Path=path)
    own = tmp_path / "files" / "lines" / "mine"
    for file in (tmp_path / "files").rglob("a.wav"):
        assert file.is_relative_to(own)


async def test_shared_files_are_played_by_all_and_overwritten_by_none(client, tmp_path):
    shared = tmp_path / "files" / "welcome.wav"
    shared.parent.mkdir(exist_ok=True)
    shared.write_bytes(SOUND)
    for headers in (MINE, THEIRS):
        call_id = await dial(client, headers)
        body = {"CallID": call_id, "AudioFile": "welcome.wav"}
        assert (await ask(client, "/call/play", headers, **body))[0] == 200
        await ask(client, "/call/record", headers, CallID=call_id, Path="welcome.wav")
        await ask(client, "/call/record/stop", headers, callId=call_id)
    assert shared.read_bytes() == SOUND


async def test_what_an_earlier_version_recorded_for_one_line_is_not_shared(tmp_path):
    """Its files lie where all shared files do; the database tells whose they are."""
    async with running(chosen(tmp_path)) as client:
        call_id, _ = await recorded(client, THEIRS, Path="a.wav")
        old = tmp_path / "files" / "calls" / "a.wav"
        old.parent.mkdir(parents=True)
        (tmp_path / "files" / "lines" / "theirs" / "a.wav").rename(old)
        database = client.bridge.events.database
        moved = "UPDATE recordings SET key = 'files/calls/a.wav' WHERE call_id = ?"
        await database.run(lambda db: db.execute(moved, (call_id,)).rowcount)
        for headers, expected in ((THEIRS, 200), (MINE, 404)):
            other = await dial(client, headers)
            body = {"CallID": other, "AudioFile": "files/calls/a.wav"}
            assert (await ask(client, "/call/play", headers, **body))[0] == expected
