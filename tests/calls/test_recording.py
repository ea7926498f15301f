"""Whole calls that are recorded: who is heard in which track, and who else may be on the call."""

import asyncio
import base64
from datetime import UTC, datetime

import numpy as np
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.node.calls.announcement import beep
from tests.support.clients.event_stream import listening
from tests.support.inprocess import KEY, running
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until_answer

TALKS, SILENT = "15550100002", "15550100008"
pytestmark = pytest.mark.call


async def tracks(client, call_id):
    """Stop a call's recording; gives its tracks' samples by kind."""
    told = await client.data("/call/record/stop", {"callId": call_id})
    answers = {track["kind"]: await client.get(track["url"]) for track in told["recordings"]}
    return {
        kind: np.frombuffer(parse_wav(await answer.read()).pcm, np.int16)
        for kind, answer in answers.items()
    }


def loudest(samples):
    """The frequency that there is most of, in hertz; 0 where there is silence."""
    if not np.abs(samples.astype(int)).max() > 500:
        return 0
    spectrum = np.abs(np.fft.rfft(samples))
    return round(float(np.argmax(spectrum)) * 16000 / len(samples))


@pytest.mark.real_time
async def test_what_a_browser_says_is_in_the_outbound_track_and_in_the_mix():
    async with running() as client, StockPeer(tone(10)) as peer:
        call_id = await client.dial(SILENT)
        await peer.call(client.exchange(call_id))
        await client.data("/call/record/start", {"callId": call_id})
        await asyncio.sleep(2)
        heard = await tracks(client, call_id)
    assert loudest(heard["inbound"]) == 0
    assert loudest(heard["outbound"]) == loudest(heard["mixed"]) > 0


async def test_two_browsers_are_recorded_each_in_a_track_of_its_own():
    async with (
        running() as client,
        StockPeer(tone(10)) as near,
        StockPeer(tone(10, hertz=1000)) as far,
    ):
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await far.call(client.exchange(call_id, party="far"))
        await near.call(client.exchange(call_id))
        await client.data("/call/record/start", {"callId": call_id})
        await asyncio.sleep(2)
        heard = await tracks(client, call_id)
    assert loudest(heard["inbound"]) == pytest.approx(1000, abs=5)
    assert loudest(heard["outbound"]) == pytest.approx(440, abs=5)
    assert len({len(track) for track in heard.values()}) == 1


async def test_a_muted_browser_is_silence_in_the_recording():
    async with running() as client, StockPeer(tone(10)) as peer:
        call_id = await client.dial(SILENT)
        await peer.call(client.exchange(call_id))
        await client.data("/call/mute", {"callId": call_id, "muted": True})
        await asyncio.sleep(0.3)
        await client.data("/call/record/start", {"callId": call_id})
        await asyncio.sleep(1)
        heard = await tracks(client, call_id)
    assert loudest(heard["outbound"]) == 0
    assert len(heard["outbound"]) > 8000


@pytest.mark.real_time  # its decoder is another process
async def test_what_is_played_to_the_far_party_is_in_the_outbound_track():
    async with running() as client, listening(client, "/events") as stream:
        call_id = await client.dial(SILENT)
        await client.data("/call/record/start", {"callId": call_id})
        sound = base64.b64encode(beep()).decode()
        await client.data("/call/play", {"callId": call_id, "audioBase64": sound})
        await stream.until_type("playback.completed")
        heard = await tracks(client, call_id)
    assert (loudest(heard["inbound"]), loudest(heard["outbound"])) == (0, 1400)


async def test_a_resumed_recording_holds_sound_again_after_as_much_silence_as_passed():
    async with running() as client:
        call_id = await client.dial(TALKS)
        await client.data("/call/record/start", {"callId": call_id})
        await client.data("/call/record/pause", {"callId": call_id})
        await asyncio.sleep(0.8)
        await client.data("/call/record/resume", {"callId": call_id})
        await asyncio.sleep(1.5)
        heard = (await tracks(client, call_id))["inbound"]
    assert not heard[1600:9600].any()
    assert np.abs(heard[-16000:].astype(int)).max() > 1000
    assert len(heard) > 2.2 * 16000


async def test_browser_stream_agent_and_recording_share_a_call():
    async with running() as client, StockPeer(tone(20)) as peer:
        call_id = await client.dial(TALKS)
        await peer.call(client.exchange(call_id))
        await client.data("/call/record/start", {"callId": call_id})
        stream = client.http.ws_connect(f"/call/{call_id}/stream", headers=KEY)
        async with stream as socket:
            await client.data("/call/agent/start", {"callId": call_id, "mode": "ai"})
            received = 0
            async with asyncio.timeout(10):
                while received < 20:
                    received += bool((await socket.receive()).data)
            [runner] = client.bridge.manager.calls()
            kinds = {leg.kind for leg in runner.legs()}
            assert kinds >= {"simulator", "webrtc", "socket", "agent", "recorder"}
            await peer.wait_heard(1.0)
        heard = await tracks(client, call_id)
        assert await client.state(call_id) == "active"
    assert loudest(heard["inbound"]) > 0
    assert loudest(heard["outbound"]) > 0


async def test_a_line_that_records_leaves_wadials_three_artefacts_for_30_days():
    async with (
        running() as client,
        listening(client, "/api/v1/sessions/demo/events") as stream,
    ):
        put = await client.http.put("/call/config", json={"callRecord": True}, headers=KEY)
        assert put.status == 200
        await client.post("/session/connect", {})
        call_id = await client.dial(TALKS)

        async def being_recorded():
            return [call["recording"] for call in await client.calls()] == [True]

        await until_answer(being_recorded)
        await asyncio.sleep(0.3)
        await client.data("/call/hangup", {"callId": call_id})
        told = [await stream.until_type("call.recording.ready") for _ in range(3)]
        listed = await client.get(f"/api/v1/sessions/demo/calls/{call_id}/recordings")
        shown = (await listed.json())["data"]
    assert {event["data"]["kind"] for event in told} == {"inbound", "outbound", "mixed"}
    assert {track["status"] for track in shown} == {"completed"}
    assert len({track["durationMs"] for track in shown}) == 1
    for event in told:
        data, ended = event["data"], datetime.now(UTC)
        assert (data["callId"], data["contentType"]) == (call_id, "audio/wav")
        assert data["durationMs"] > 0
        until_then = datetime.fromisoformat(data["expiresAt"]) - ended
        assert 29.9 < until_then.total_seconds() / 86400 < 30.1
