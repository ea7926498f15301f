"""Chirp's recordings: started and stopped by command, listed, and fetched over a signed link."""

import io
from urllib.parse import urlsplit

import av
import pytest

from bridge.api.media.recording_files import LINK_SECONDS
from bridge.audio.file.wav import parse_wav
from bridge.settings.model import Data, Http, Net
from tests.support.clients.vendor import OTHER, SALES, TALKS, TEST, Vendor, two_lines
from tests.support.inprocess import running
from tests.support.servers.receiver import receiving
from tests.support.sound.transcribing import finished, hang_up, talk, transcribing
from tests.support.sound.transcribing import wall_clock as wall_clock
from tests.support.waiting import until, until_answer

FIELDS = {
    "id", "callId", "status", "format", "kind", "duration", "fileUrl", "fileSize", "files", "transcription",
    "startedAt",
    "endedAt", "createdAt",
}  # fmt: skip
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]


@pytest.fixture
async def bridge(tmp_path):
    async with running(two_lines(data=Data(dir=str(tmp_path)))) as client:
        yield client


@pytest.fixture
def chirp(bridge):
    return Vendor(bridge.http)


async def talking(bridge, chirp):
    to = {"from": "webrtc-user-1", "fromChannel": "webrtc", "toChannel": "whatsapp"}
    _, call = await chirp.post("/v1/calls", {**to, "to": f"+{TALKS}"})
    [runner] = bridge.bridge.manager.calls()
    await until(lambda: runner.machine.state == "active")
    return call["id"]


async def command(chirp, call_id, kind, **more):
    return await chirp.post(f"/v1/calls/{call_id}/commands", {"type": kind, **more})


async def recorded(bridge, chirp, form="wav"):
    """Record a call; gives its id and its only recording."""
    call_id = await talking(bridge, chirp)
    wanted = {"format": form} if form else {}
    assert (await command(chirp, call_id, "start_recording", **wanted))[0] == 200
    await until(lambda: written(bridge.bridge.records.recordings.archive.folder) == 1)
    assert (await command(chirp, call_id, "stop_recording"))[0] == 200
    _, body = await chirp.get(f"/v1/calls/{call_id}/recordings")
    assert body["totalCount"] == 1
    return call_id, body["data"][0]


async def test_a_recording_that_goes_on_has_no_file_yet(bridge, chirp):
    call_id = await talking(bridge, chirp)
    expected = {"callId": call_id, "command": "start_recording", "status": "accepted"}
    assert await command(chirp, call_id, "start_recording") == (200, expected)
    [recording] = (await chirp.get(f"/v1/calls/{call_id}/recordings"))[1]["data"]
    assert set(recording) == FIELDS
    assert (recording["status"], recording["fileUrl"]) == ("recording", None)
    assert recording["callId"] == call_id


async def test_a_recordings_link_returns_its_file_without_a_key(bridge, chirp):
    _, listed = await recorded(bridge, chirp)
    status, recording = await chirp.get(f"/v1/calls/recordings/{listed['id']}")
    assert (status, set(recording)) == (200, FIELDS)
    assert (recording["status"], recording["format"]) == ("completed", "wav")
    async with bridge.http.get(path_of(recording["fileUrl"])) as answer:
        assert answer.status == 200
        content = await answer.read()
    assert len(content) == recording["fileSize"]
    assert parse_wav(content).rate == 16_000


async def test_an_ogg_copy_is_linked_to_beside_the_wav(bridge, chirp):
    _, listed = await recorded(bridge, chirp)

    async def read():
        return (await chirp.get(f"/v1/calls/recordings/{listed['id']}"))[1]

    async def both():
        return {file["format"] for file in (await read())["files"]} == {"wav", "ogg"}

    await until_answer(both)
    recording = await read()
    files = {file["format"]: file for file in recording["files"]}
    assert files["wav"]["fileUrl"].partition("?")[0] == recording["fileUrl"].partition("?")[0]
    for kind, head in (("wav", b"RIFF"), ("ogg", b"OggS")):
        async with bridge.http.get(path_of(files[kind]["fileUrl"])) as answer:
            content = await answer.read()
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"audio/{kind}")
        assert (len(content), content[:4]) == (files[kind]["fileSize"], head)


@pytest.mark.parametrize(
    ("asked", "form", "codec"),
    [("mp4", "mp4", "aac"), (None, "mp4", "aac"), ("ogg", "ogg", "opus"), ("webm", "webm", "opus")],
)
async def test_what_was_asked_for_is_what_is_delivered(bridge, chirp, asked, form, codec):
    _, listed = await recorded(bridge, chirp, asked)
    assert (listed["format"], listed["status"] in ("processing", "completed")) == (form, True)

    async def completed():
        return (await read())["status"] == "completed"

    async def read():
        return (await chirp.get(f"/v1/calls/recordings/{listed['id']}"))[1]

    await until_answer(completed, timeout=20)
    recording = await read()
    async with bridge.http.get(path_of(recording["fileUrl"])) as answer:
        content = await answer.read()
    assert (answer.status, answer.headers["Content-Type"]) == (200, f"audio/{form}")
    assert len(content) == recording["fileSize"]
    with av.open(io.BytesIO(content), "r") as sound:
        assert sound.streams.audio[0].codec_context.name == codec
        assert sum(frame.samples for frame in sound.decode(audio=0)) > 320


async def test_a_format_is_asked_for_of_a_call_that_is_recorded_already(bridge, chirp):
    call_id = await talking(bridge, chirp)
    await command(chirp, call_id, "start_recording", format="wav")
    assert (await command(chirp, call_id, "start_recording", format="webm"))[0] == 200
    await command(chirp, call_id, "stop_recording")
    _, body = await chirp.get(f"/v1/calls/{call_id}/recordings")
    assert [recording["format"] for recording in body["data"]] == ["webm"]


async def test_a_recording_that_has_no_such_track_is_not_made_another_of(bridge, chirp):
    call_id = await talking(bridge, chirp)
    body = {"CallID": call_id, "Path": "a.wav"}
    async with bridge.http.post("/call/record", json=body, headers={"token": SALES}) as answer:
        assert answer.status == 200
    status, answer = await command(chirp, call_id, "start_recording", format="mp4")
    assert (status, "recorded already" in answer["error"]) == (409, True)


@pytest.mark.parametrize("form", ["wav", "ogg"])
async def test_the_webhook_links_to_the_file_in_the_format_asked_for(tmp_path, form):
    chosen = two_lines(data=Data(dir=str(tmp_path)), net=Net(allow=["127.0.0.0/8"]))
    async with running(chosen) as bridge, receiving() as hook:
        chirp = Vendor(bridge.http)
        wanted = {"url": hook.url, "events": ["calls.recording.completed"]}
        assert (await chirp.post("/v1/webhooks", wanted))[0] == 201
        await recorded(bridge, chirp, form)
        await until(lambda: hook.taken, timeout=20)
        sent = hook.taken[0].json["data"]["recording"]
        _, shown = await chirp.get(f"/v1/calls/recordings/{sent['id']}")
        for name in ("format", "status", "fileSize", "duration", "startedAt", "endedAt"):
            assert sent[name] == shown[name]
        assert sent["fileUrl"].startswith(str(bridge.http.make_url("")).rstrip("/"))
        async with bridge.http.get(path_of(sent["fileUrl"])) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, f"audio/{form}")
            assert len(await answer.read()) == sent["fileSize"]
        assert len(hook.taken) == 1


@pytest.mark.parametrize("changed", ["", "?expires=99999999999&signature=0"])
async def test_a_link_that_is_not_signed_opens_nothing(bridge, chirp, changed):
    _, recording = await recorded(bridge, chirp)
    path = f"/files/recordings/{recording['id']}{changed}"
    async with bridge.http.get(path) as answer:
        assert answer.status == 403


async def test_a_link_is_good_for_an_hour_and_for_one_recording(bridge, chirp):
    _, recording = await recorded(bridge, chirp)
    assert LINK_SECONDS == 3600
    path = path_of(recording["fileUrl"])
    late = bridge.bridge.access.tickets.link(path.partition("?")[0], -1)
    async with bridge.http.get(late) as answer:
        assert answer.status == 403
    other = path.replace(recording["id"], "rec_other")
    async with bridge.http.get(other) as answer:
        assert answer.status == 403


async def test_a_test_key_is_shown_its_own_form_of_the_calls_id(bridge, chirp):
    call_id, recording = await recorded(bridge, chirp.as_(TEST))
    assert call_id.startswith("call_test_")
    assert recording["callId"] == call_id


async def test_a_call_that_is_not_recorded_has_none_to_stop_or_list(bridge, chirp):
    call_id = await talking(bridge, chirp)
    assert (await command(chirp, call_id, "stop_recording"))[0] == 409
    listed = (200, {"data": [], "totalCount": 0})
    assert await chirp.get(f"/v1/calls/{call_id}/recordings") == listed


async def test_a_format_that_is_none_is_a_400_that_names_the_field(bridge, chirp):
    status, body = await command(
        chirp, await talking(bridge, chirp), "start_recording", format="exe"
    )
    assert (status, body["field"]) == (400, "format")


async def test_another_lines_recordings_are_not_shown(bridge, chirp):
    call_id, recording = await recorded(bridge, chirp)
    other = chirp.as_(OTHER)
    assert (await other.get(f"/v1/calls/{call_id}/recordings"))[0] == 404
    assert (await other.get(f"/v1/calls/recordings/{recording['id']}"))[0] == 404


async def test_the_native_status_says_that_a_call_is_recorded(bridge, chirp):
    call_id = await talking(bridge, chirp)

    async def status():
        async with bridge.http.get("/call/status", headers={"token": SALES}) as answer:
            return [call["recording"] for call in (await answer.json())["data"]["calls"]]

    assert await status() == [False]
    await command(chirp, call_id, "start_recording")
    assert await status() == [True]
    await command(chirp, call_id, "stop_recording")
    assert await status() == [False]


def written(folder):
    """How many files have sound in them."""
    return sum(file.stat().st_size > 44 for file in folder.rglob("*.wav"))


def path_of(url):
    parts = urlsplit(url)
    assert parts.scheme == "http"
    return f"{parts.path}?{parts.query}"


@pytest.mark.parametrize(
    ("public_url", "base"),
    [("https://calls.example/", "https://calls.example"), ("", "http://127")],
)
async def test_a_link_begins_with_the_public_url_and_never_as_a_proxy_says(public_url, base):
    chosen = two_lines(http=Http(public_url=public_url))
    async with running(chosen) as bridge:
        _, recording = await recorded(bridge, Vendor(bridge.http))
        headers = {"Authorization": f"Bearer {SALES}", "X-Forwarded-Proto": "gopher"}
        path = f"/v1/calls/recordings/{recording['id']}"
        async with bridge.http.get(path, headers=headers) as answer:
            assert (await answer.json())["fileUrl"].startswith(base)


@pytest.mark.virtual_time
async def test_a_recording_has_what_was_said_on_its_track(wall_clock):
    async with transcribing() as (client, _):
        call = await talk(client, transcribe="after")
        await hang_up(client, call)
        await finished(client, call)
        headers = {"Authorization": "Bearer demo"}
        response = await client.http.get(f"/v1/calls/{call}/recordings", headers=headers)
        listed = (await response.json())["data"]
        said = {one["kind"]: one["transcription"] for one in listed}
        assert said["inbound"] == said["mixed"]
        assert said["inbound"].startswith("I would like a table.")
        assert said["outbound"] == ""
        path = f"/v1/calls/recordings/{listed[0]['id']}"
        shown = await (await client.http.get(path, headers=headers)).json()
        assert shown["transcription"] == listed[0]["transcription"]
