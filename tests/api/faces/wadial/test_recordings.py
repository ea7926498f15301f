"""WADial's recordings: announced as documented, listed and fetched."""

import pytest
from aiohttp import FormData

from bridge.audio.file.wav import parse_wav
from bridge.settings.model import Data, Line, Recording
from tests.support.clients.event_stream import listening
from tests.support.clients.pcm_client import pcm_client
from tests.support.inprocess import KEY, running, settings
from tests.support.sound.wav import wav_file
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


async def recorded(client, begin=None):
    """Let a call of WADial's routes last; returns its id and the events of its recordings."""
    async with listening(client, "/api/v1/sessions/demo/events") as stream:
        call_id = await (begin or started)(client)
        folder = client.bridge.records.recordings.archive.folder
        await until(lambda: written(folder) == 3)
        await client.data("/call/hangup", {"callId": call_id})
        sent = [await stream.until_type("call.recording.ready") for _ in range(3)]
    return call_id, sent


async def started(client):
    """Begin a call at WADial's route."""
    answer = await client.post(CALLS, {"to": f"{TALKS}@s.whatsapp.net"})
    return (await answer.json())["data"]["callId"]


async def accepted(client):
    """Accept a call at WADial's route."""
    call_id = (await client.data("/simulator/incoming", {"from": TALKS}))["callId"]
    answer = await client.post(f"{CALLS}/{call_id}/accept", {})
    assert answer.status == 200
    return call_id


async def streamed(client):
    """Open WADial's socket at a call that was dialled elsewhere, and leave it again."""
    call_id = await client.dial(TALKS)
    path = f"{CALLS}/{call_id}/media"
    async with pcm_client(client.http, path, additional_headers=KEY) as socket:
        await until(lambda: socket.sound)
    return call_id


async def played_into(client):
    """Play an asset at WADial's route into a call that was dialled elsewhere."""
    call_id = await client.dial(TALKS)
    form = FormData()
    form.add_field("audio", wav_file(bytes(32_000)), filename="a", content_type="audio/wav")
    kept = await client.http.post("/api/v1/call-audio-assets", data=form, headers=KEY)
    asset = (await kept.json())["data"]["id"]
    answer = await client.post(f"{CALLS}/{call_id}/audio/play", {"assetId": asset})
    assert answer.status == 200
    return call_id


@pytest.mark.parametrize("begin", [started, accepted, streamed, played_into])
async def test_a_call_of_these_routes_is_recorded_without_being_asked_for(client, begin):
    call_id, sent = await recorded(client, begin)
    assert [event["data"]["callId"] for event in sent] == [call_id] * 3
    assert {event["data"]["kind"] for event in sent} == {"inbound", "outbound", "mixed"}
    assert all(event["data"]["durationMs"] > 0 for event in sent)


async def test_a_call_of_other_routes_is_not_recorded_by_itself(client):
    call_id = await client.dial(TALKS)
    async with pcm_client(client.http, f"/call/{call_id}/stream?token=demo") as socket:
        await until(lambda: len(socket.sound) > 5)
    answer = await client.get(f"{CALLS}/{call_id}/recordings")
    assert (await answer.json())["data"] == []


@pytest.mark.parametrize("switch", [{"wadial": False}, {"exclusive": True}])
async def test_the_operator_may_switch_it_off(tmp_path, switch):
    chosen = settings(data=Data(dir=str(tmp_path)), recording=Recording(**switch))
    async with running(chosen) as client:
        call_id = await streamed(client)
        assert (await (await client.get(f"{CALLS}/{call_id}/recordings")).json())["data"] == []


async def test_a_recording_that_was_stopped_does_not_begin_again_by_itself(client):
    call_id = await started(client)
    await until(lambda: written(client.bridge.records.recordings.archive.folder) == 3)
    await client.data("/call/record/stop", {"callId": call_id})
    path = f"{CALLS}/{call_id}/media"
    async with pcm_client(client.http, path, additional_headers=KEY) as socket:
        await until(lambda: len(socket.sound) > 5)
    answer = await client.get(f"{CALLS}/{call_id}/recordings")
    tracks = (await answer.json())["data"]
    assert [track["status"] for track in tracks] == ["completed"] * 3


async def test_each_track_has_an_event_with_the_documented_data(client):
    call_id, sent = await recorded(client)
    assert {event["data"]["kind"] for event in sent} == {"inbound", "outbound", "mixed"}
    for event in sent:
        data = event["data"]
        assert set(data) >= DOCUMENTED
        assert (event["sessionId"], data["callId"]) == ("demo", call_id)
        assert data["contentType"] == "audio/wav"
        assert abs(data["sizeBytes"] - 44 - data["durationMs"] * 32) <= 640


async def test_recordings_with_an_event_are_listed_and_fetched(client):
    call_id, sent = await recorded(client)
    answer = await client.get(f"{CALLS}/{call_id}/recordings")
    listed = {track["recordingId"]: track for track in (await answer.json())["data"]}
    assert set(listed) == {event["data"]["recordingId"] for event in sent}
    for event in sent:
        data = event["data"]
        assert {name: listed[data["recordingId"]][name] for name in DOCUMENTED} == {
            name: data[name] for name in DOCUMENTED
        }
        file = await client.get(f"{CALLS}/{call_id}/recordings/{data['recordingId']}")
        content = await file.read()
        assert (file.status, len(content)) == (200, data["sizeBytes"])
        assert parse_wav(content).rate == 16_000


async def test_a_recording_is_neither_another_calls_nor_another_sessions(client):
    call_id, [sent, *_] = await recorded(client)
    other_call = await client.dial(TALKS)
    recording = sent["data"]["recordingId"]
    for path, key in [
        (f"{CALLS}/{other_call}/recordings/{recording}", KEY),
        (f"{CALLS}/{call_id}/recordings/rec_none", KEY),
        (f"{CALLS}/{'0' * 32}/recordings", KEY),
        (f"{CALLS}/{call_id}/recordings", {"token": "other"}),
        (f"/api/v1/sessions/other/calls/{call_id}/recordings/{recording}", {"token": "other"}),
    ]:
        assert (await client.http.get(path, headers=key)).status == 404, path
