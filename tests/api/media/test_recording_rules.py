"""What operators may want of recordings: that all are told, and that calls are recorded or streamed."""

import asyncio

import msgspec
import numpy as np
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.call.model import CallId
from bridge.errors import SettingsError
from bridge.node.calls.announcement import beep
from bridge.settings.model import Data, Recording, check
from tests.support.clients.event_stream import listening
from tests.support.inprocess import KEY, running, settings
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

TALKS, ECHOES = "15550100002", "15550100001"
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]


def at(folder, **recording):
    chosen = Recording(min_free_mb=0.0, **recording)
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)), recording=chosen)


def samples(wav):
    return np.frombuffer(parse_wav(wav).pcm, np.int16)


async def stopped(client, call_id):
    """Stop a recording; gives its tracks' samples by kind."""
    told = await client.data("/call/record/stop", {"callId": call_id})
    answers = {track["kind"]: await client.get(track["url"]) for track in told["recordings"]}
    return {kind: samples(await answer.read()) for kind, answer in answers.items()}


# Consent


async def test_the_far_party_hears_a_beep_before_anything_is_recorded(tmp_path):
    async with (
        running(at(tmp_path, announcement="beep")) as client,
        listening(client, "/events") as stream,
    ):
        call_id = await client.dial(TALKS)
        heard = await client.data("/call/record/start", {"callId": call_id})
        await stream.until_type("playback.started")
        await stream.until_type("recording.started")
        await asyncio.sleep(0.5)
        tracks = await stopped(client, call_id)
    assert len(heard["recordings"]) == 3
    assert not tracks["inbound"][: round(0.2 * 16000)].any()
    assert tracks["inbound"].any()
    assert not tracks["outbound"].any()


async def test_a_beep_sounds_as_recorders_do():
    sound = samples(beep())
    spectrum = np.abs(np.fft.rfft(sound))
    assert round(np.argmax(spectrum) * 16000 / len(sound)) == 1400
    assert 0.17 <= len(sound) / 16000 <= 0.25
    assert abs(int(sound[0])) < 100 > abs(int(sound[-1]))


async def test_an_announcement_is_a_file_of_the_operators(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "told.wav").write_bytes(beep())
    async with (
        running(at(tmp_path, announcement="told.wav")) as client,
        listening(client, "/events") as stream,
    ):
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})
        played = await stream.until_type("playback.completed")
        assert played["data"]["status"] == "completed"
        await stream.until_type("recording.started")


def test_a_start_without_the_file_of_the_announcement_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"recording\.announcement"):
        check(at(tmp_path, announcement="none.wav"))


@pytest.mark.parametrize("fault", ["stopped", "damaged"])
async def test_an_announcement_that_is_not_heard_ends_the_recording(tmp_path, fault):
    (tmp_path / "files").mkdir()
    told = tmp_path / "files" / "told.wav"
    told.write_bytes(wav_file(bytes(2 * 16_000 * 60)))
    async with (
        running(at(tmp_path, announcement="told.wav")) as client,
        listening(client, "/events") as stream,
    ):
        if fault == "damaged":
            told.write_bytes(b"no sound at all")
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})
        if fault == "stopped":
            await stream.until_type("playback.started")
            await client.data("/call/play/stop", {"callId": call_id})
        failed = await stream.until_type("recording.failed")
        assert failed["data"]["reason"] == "not_announced"
        assert await client.state(call_id) == "active"
        recordings = client.bridge.records.recordings
        await until(lambda: not recordings.active(CallId(call_id)))


async def test_a_call_that_is_recorded_of_itself_is_announced_once_it_is_up(tmp_path):
    async with (
        running(at(tmp_path, announcement="beep")) as client,
        listening(client, "/events") as stream,
    ):
        put = await client.http.put("/call/config", json={"callRecord": True}, headers=KEY)
        assert put.status == 200
        await client.post("/session/connect", {})
        await client.dial(TALKS)
        await stream.until_type("call.active")
        await stream.until_type("playback.started")
        await stream.until_type("recording.started")


async def test_the_end_of_the_call_ends_an_announcement_that_waits(tmp_path):
    async with running(at(tmp_path, announcement="beep")) as client:
        opened = await client.data("/call/dial", {"channel": "webrtc"})
        await client.data("/call/record/start", {"callId": opened["callId"]})
        await client.data("/call/hangup", {"callId": opened["callId"]})
        recordings = client.bridge.records.recordings
        await until(lambda: not recordings.active(CallId(opened["callId"])))


# Exclusivity


async def test_by_default_a_call_is_recorded_and_streamed_at_once(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(ECHOES)
        await client.data("/call/record/start", {"callId": call_id})
        async with client.http.ws_connect(f"/call/{call_id}/stream", headers=KEY) as socket:
            assert (await socket.receive(timeout=5)).data


async def test_a_recorded_call_is_not_streamed_where_it_is_one_or_the_other(tmp_path):
    async with running(at(tmp_path, exclusive=True)) as client:
        call_id = await client.dial(ECHOES)
        await client.data("/call/record/start", {"callId": call_id})
        assert (await client.get(f"/call/{call_id}/stream", headers=UPGRADE)).status == 409
        await client.data("/call/record/stop", {"callId": call_id})
        async with client.http.ws_connect(f"/call/{call_id}/stream", headers=KEY) as socket:
            assert (await socket.receive(timeout=5)).data


async def test_a_streamed_call_is_not_recorded_where_it_is_one_or_the_other(tmp_path):
    async with running(at(tmp_path, exclusive=True)) as client:
        call_id = await client.dial(ECHOES)
        async with client.http.ws_connect(f"/call/{call_id}/stream", headers=KEY) as socket:
            assert (await socket.receive(timeout=5)).data
            answer = await client.post("/call/record/start", {"callId": call_id})
            assert answer.status == 409
            assert (await client.post("/call/record/stop", {"callId": call_id})).status == 409


UPGRADE = KEY | {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
