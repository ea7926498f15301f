"""WADial's recordings: announced as documented, listed and fetched."""

import pytest

from bridge.api.keys import RECORDINGS
from bridge.audio.wav import parse_wav
from bridge.settings import Data, Line
from tests.support.event_stream import listening
from tests.support.inprocess import KEY, running, settings
from tests.support.waiting import until

TALKS = "15550100002"
CALLS = "/api/v1/sessions/demo/calls"
DOCUMENTED = {
    "callId", "recordingId", "kind", "contentType", "durationMs", "sizeBytes", "expiresAt",
}  # fmt: skip
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]


@pytest.fixture
async def client(tmp_path):
    lines = {"demo": Line(keys=["demo"]), "other": Line(keys=["other"])}
    async with running(settings(data=Data(dir=str(tmp_path)), lines=lines)) as client:
        yield client


def written(folder):
    """How many files have sound in them."""
    return sum(file.stat().st_size > 44 for file in folder.rglob("*.wav"))


async def recorded(client):
    """Record a call until its end; gives its id and what was told of its recordings."""
    async with listening(client, "/api/v1/sessions/demo/events") as stream:
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})
        folder = client.bridge.application[RECORDINGS].archive.folder
        await until(lambda: written(folder) == 3)
        await client.data("/call/hangup", {"callId": call_id})
        told = [await stream.until_type("call.recording.ready") for _ in range(3)]
    return call_id, told


async def test_each_track_is_told_of_with_the_documented_data(client):
    call_id, told = await recorded(client)
    assert {event["data"]["kind"] for event in told} == {"inbound", "outbound", "mixed"}
    for event in told:
        data = event["data"]
        assert set(data) >= DOCUMENTED
        assert (event["sessionId"], data["callId"]) == ("demo", call_id)
        assert data["contentType"] == "audio/wav"
        assert abs(data["sizeBytes"] - 44 - data["durationMs"] * 32) <= 640


async def test_what_was_told_of_is_listed_and_fetched(client):
    call_id, told = await recorded(client)
    answer = await client.get(f"{CALLS}/{call_id}/recordings")
    listed = {track["recordingId"]: track for track in (await answer.json())["data"]}
    assert set(listed) == {event["data"]["recordingId"] for event in told}
    for event in told:
        data = event["data"]
        assert {name: listed[data["recordingId"]][name] for name in DOCUMENTED} == {
            name: data[name] for name in DOCUMENTED
        }
        file = await client.get(f"{CALLS}/{call_id}/recordings/{data['recordingId']}")
        content = await file.read()
        assert (file.status, len(content)) == (200, data["sizeBytes"])
        assert parse_wav(content).rate == 16_000


async def test_a_recording_is_neither_another_calls_nor_another_sessions(client):
    call_id, [told, *_] = await recorded(client)
    other_call = await client.dial(TALKS)
    recording = told["data"]["recordingId"]
    for path, key in [
        (f"{CALLS}/{other_call}/recordings/{recording}", KEY),
        (f"{CALLS}/{call_id}/recordings/rec_none", KEY),
        (f"{CALLS}/{'0' * 32}/recordings", KEY),
        (f"{CALLS}/{call_id}/recordings", {"token": "other"}),
        (f"/api/v1/sessions/other/calls/{call_id}/recordings/{recording}", {"token": "other"}),
    ]:
        assert (await client.http.get(path, headers=key)).status == 404, path
