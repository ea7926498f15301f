"""WaGo's recording paths: what is recorded there is played by the same name."""

import msgspec
import pytest

from bridge.settings.model import Data
from tests.support.inprocess import running, settings
from tests.support.waiting import until

TALKS = "15550100002"
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]


@pytest.fixture
async def client(tmp_path):
    chosen = msgspec.structs.replace(settings(), data=Data(dir=str(tmp_path)))
    async with running(chosen) as running_client:
        yield running_client


async def record(client, call_id, **more):
    """Record until something is in the file, and return where it lies."""
    said = await client.data("/call/record", {"CallID": call_id, **more})
    [runner] = client.bridge.manager.calls()
    await until(lambda: any(getattr(leg, "written_bytes", 0) for leg in runner.legs()))
    await client.data("/call/record/stop", {"callId": call_id})
    return said["path"]


@pytest.mark.parametrize("more", [{}, {"Path": ""}, {"Path": "talks/a.wav"}])
async def test_what_was_recorded_is_played_by_its_path_with_and_without_the_prefix(client, more):
    call_id = await client.dial(TALKS)
    path = await record(client, call_id, **more)
    assert path.startswith("files/")
    for name in (path, path.removeprefix("files/")):
        body = {"CallID": call_id, "AudioFile": name}
        assert (await client.data("/call/play", body))["ok"]


@pytest.mark.virtual_time
async def test_a_path_is_taken_with_and_without_the_prefix(client):
    call_id = await client.dial(TALKS)
    assert await record(client, call_id, Path="talks/a.wav") == "files/talks/a.wav"
    assert await record(client, call_id, Path="files/talks/b.wav") == "files/talks/b.wav"


@pytest.mark.virtual_time
async def test_a_second_recording_gets_a_fresh_name(client):
    call_id = await client.dial(TALKS)
    paths = [await record(client, call_id) for _ in range(3)]
    stem = f"files/calls/{call_id}"
    assert paths == [f"{stem}.wav", f"{stem}-2.wav", f"{stem}-3.wav"]
    assert await record(client, call_id, Path="a.wav") == "files/a.wav"
    assert await record(client, call_id, Path="a.wav") == "files/a-2.wav"


@pytest.mark.virtual_time
async def test_each_recording_keeps_what_was_said_in_it(client):
    call_id = await client.dial(TALKS)
    for _ in range(2):
        await record(client, call_id, Path="a.wav")
    answer = await client.get(f"/call/{call_id}/recordings")
    listed = (await answer.json())["data"]["recordings"]
    assert {track["mediaKey"] for track in listed} == {"files/a.wav", "files/a-2.wav"}
    for track in listed:
        assert (await client.get(track["url"])).status == 200


@pytest.mark.virtual_time
async def test_another_path_while_it_is_recorded_is_refused_and_says_why(client):
    call_id = await client.dial(TALKS)
    await client.data("/call/record", {"CallID": call_id, "Path": "a.wav"})
    again = {"CallID": call_id, "Path": "b.wav"}
    refused = await client.post("/call/record", again)
    assert refused.status == 409
    assert "files/a.wav" in await refused.text()
    await client.data("/call/record/stop", {"callId": call_id})
    assert (await client.data("/call/record", again))["path"] == "files/b.wav"


@pytest.mark.parametrize("more", [{}, {"Path": "a.wav"}, {"Path": "files/a.wav"}])
@pytest.mark.virtual_time
async def test_the_same_path_or_none_while_it_is_recorded_shows_where_it_lies(client, more):
    call_id = await client.dial(TALKS)
    await client.data("/call/record", {"CallID": call_id, "Path": "a.wav"})
    assert (await client.data("/call/record", {"CallID": call_id, **more}))["path"] == "files/a.wav"


@pytest.mark.virtual_time
async def test_the_path_it_was_asked_for_under_stays_good_while_it_is_recorded_elsewhere(client):
    call_id = await client.dial(TALKS)
    await record(client, call_id, Path="a.wav")
    for name in ("a.wav", "a.wav", "a-2.wav"):
        said = await client.data("/call/record", {"CallID": call_id, "Path": name})
        assert said["path"] == "files/a-2.wav"


@pytest.mark.virtual_time
async def test_a_call_that_is_recorded_another_way_is_not_recorded_to_a_path_as_well(client):
    call_id = await client.dial(TALKS)
    await client.data("/call/record/start", {"callId": call_id})
    body = {"CallID": call_id, "Path": "a.wav"}
    assert (await client.post("/call/record", body)).status == 409


@pytest.mark.parametrize(
    "path", ["a\0b.wav", "\0", "x/" * 2000 + "a.wav", "x" * 300, "a\n.wav", "é" * 150]
)
@pytest.mark.virtual_time
async def test_a_path_that_no_file_can_have_is_a_400_that_names_the_field(client, path):
    call_id = await client.dial(TALKS)
    answer = await client.post("/call/record", {"CallID": call_id, "Path": path})
    assert answer.status == 400
    assert (await answer.json())["field"] == "Path"
    answer = await client.post("/call/play", {"CallID": call_id, "AudioFile": path})
    assert answer.status == 400
    assert (await answer.json())["field"] == "AudioFile"
