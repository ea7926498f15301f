"""Chirp's recordings: started and stopped by command, listed, and fetched over a signed link."""

from urllib.parse import urlsplit

import pytest

from bridge.api.faces.chirp_recordings import LINK_SECONDS
from bridge.api.keys import RECORDINGS
from bridge.audio.wav import parse_wav
from bridge.settings import Data, Http
from tests.support.inprocess import running
from tests.support.vendor import OTHER, SALES, TALKS, TEST, Vendor, two_lines
from tests.support.waiting import until, until_answer

FIELDS = {
    "id", "callId", "status", "format", "kind", "duration", "fileUrl", "fileSize", "files", "startedAt",
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


async def recorded(bridge, chirp):
    """Record a call; gives its id and its only recording."""
    call_id = await talking(bridge, chirp)
    assert (await command(chirp, call_id, "start_recording", format="mp4"))[0] == 200
    await until(lambda: written(bridge.bridge.application[RECORDINGS].archive.folder) == 1)
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


async def test_a_recordings_link_gives_its_file_without_a_key(bridge, chirp):
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


@pytest.mark.parametrize("changed", ["", "?expires=99999999999&signature=0"])
async def test_a_link_that_is_not_signed_opens_nothing(bridge, chirp, changed):
    _, recording = await recorded(bridge, chirp)
    path = f"/files/recordings/{recording['id']}{changed}"
    async with bridge.http.get(path) as answer:
        assert answer.status == 403


async def test_a_link_is_good_for_an_hour_and_for_one_recording(bridge, chirp, monkeypatch):
    _, recording = await recorded(bridge, chirp)
    assert LINK_SECONDS == 3600
    monkeypatch.setattr("bridge.api.faces.chirp_recordings.LINK_SECONDS", -1)
    _, late = await chirp.get(f"/v1/calls/recordings/{recording['id']}")
    async with bridge.http.get(path_of(late["fileUrl"])) as answer:
        assert answer.status == 403
    other = path_of(recording["fileUrl"]).replace(recording["id"], "rec_other")
    async with bridge.http.get(other) as answer:
        assert answer.status == 403


async def test_a_test_key_is_shown_its_own_form_of_the_calls_id(bridge, chirp):
    call_id, recording = await recorded(bridge, chirp)
    _, shown = await chirp.as_(TEST).get(f"/v1/calls/recordings/{recording['id']}")
    assert shown["callId"] == call_id.replace("call_", "call_test_")


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
