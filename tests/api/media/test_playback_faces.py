"""Every vendor's words for playing a sound: the contact hears it."""

import base64
import io
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestServer

from bridge.settings.model import Data, Net
from tests.support.clients.event_stream import listening
from tests.support.inprocess import KEY, running, settings
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

SILENT = "15550100008"
SOUND = wav_file(tone(2).tobytes())
BEARER = {"Authorization": "Bearer demo"}
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]


@pytest.fixture
async def client(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.wav").write_bytes(SOUND)
    chosen = settings(net=Net(allow=["127.0.0.0/8"]))
    async with running(msgspec.structs.replace(chosen, data=Data(dir=str(tmp_path)))) as client:
        yield client


@asynccontextmanager
async def url():
    """Where the sound can be fetched."""

    async def file(_):
        return web.Response(body=SOUND, content_type="audio/wav")

    there = web.Application()
    there.add_routes([web.get("/a.wav", file)])
    async with TestServer(there) as server:
        yield str(server.make_url("/a.wav"))


async def native_url(client, call_id):
    async with url() as place:
        return await client.post("/call/play", {"callId": call_id, "audioUrl": place})


async def native_asset(client, call_id):
    return await client.post("/call/play", {"callId": call_id, "assetId": await asset(client)})


async def zuckzapgo(client, call_id):
    sound = "data:audio/wav;base64," + base64.b64encode(SOUND).decode()
    return await client.post("/call/play", {"callId": call_id, "audioBase64": sound})


async def wago(client, call_id):
    return await client.post("/call/play", {"CallID": call_id, "AudioFile": "a.wav"})


async def wadial(client, call_id):
    path = f"/api/v1/sessions/demo/calls/{call_id}/audio/play"
    return await client.post(path, {"assetId": await asset(client)}, headers=BEARER)


async def wavix(client, call_id):
    async with url() as place:
        path = f"/v1/call/{call_id}/play?appid=demo"
        return await client.post(path, {"audio_file": place}, headers={})


async def wavix_newer(client, call_id):
    async with url() as place:
        path = f"/v1/calls/{call_id}/play"
        return await client.post(path, {"audio_file": place}, headers=BEARER)


async def wavix_prompt(client, call_id):
    async with url() as place:
        path = f"/v1/calls/{call_id}/collect"
        body = {"max_digits": 1, "timeout": 5, "prompt": {"play": place}}
        return await client.post(path, body, headers=BEARER)


async def chirp(client, call_id):
    async with url() as place:
        body = {"type": "play_audio", "audioUrl": place}
        return await client.post(f"/v1/calls/{call_id}/commands", body, headers=BEARER)


async def chirp_hold_music(client, call_id):
    async with url() as place:
        body = {"type": "hold", "musicUrl": place}
        return await client.post(f"/v1/calls/{call_id}/commands", body, headers=BEARER)


async def asset(client):
    form = FormData()
    form.add_field("audio", io.BytesIO(SOUND), filename="a.wav", content_type="audio/wav")
    answer = await client.http.post("/api/v1/call-audio-assets", data=form, headers=KEY)
    return (await answer.json())["data"]["id"]


@pytest.mark.parametrize(
    "play",
    [
        native_url,
        native_asset,
        zuckzapgo,
        wago,
        wadial,
        wavix,
        wavix_newer,
        wavix_prompt,
        chirp,
        chirp_hold_music,
    ],
)
async def test_what_is_played_in_any_vendors_words_is_heard(client, play):
    call_id = await client.dial(SILENT)
    [runner] = client.bridge.manager.calls()
    await until(lambda: runner.record().state == "active")
    [contact] = runner.legs()
    answer = await play(client, call_id)
    assert answer.status in (200, 202), await answer.text()
    await until(lambda: contact.statistics().sent.level_dbov > -30)


async def test_two_that_are_asked_for_at_once_are_both_heard_to_their_end(client):
    call_id = await client.dial(SILENT)
    for _ in range(2):
        await wago(client, call_id)
    [runner] = client.bridge.manager.calls()
    assert len(runner.legs()) == 3
    await until(lambda: len(runner.legs()) == 1)


async def test_events_tell_which_playback_began_and_how_it_ended(client):
    call_id = await client.dial(SILENT)
    async with listening(client, f"/call/{call_id}/events") as events:
        played = (await (await wago(client, call_id)).json())["data"]["playbackId"]
        began = await events.until_type("playback.started")
        over = await events.until_type("playback.completed")
    assert (began["callId"], began["data"]["playbackId"]) == (call_id, played)
    assert (over["data"]["playbackId"], over["data"]["status"]) == (played, "completed")
    assert over["data"]["seconds"] == 2.0


async def test_an_event_tells_that_a_playback_was_stopped(client):
    call_id = await client.dial(SILENT)
    async with listening(client, f"/call/{call_id}/events") as events:
        played = (await (await wago(client, call_id)).json())["data"]["playbackId"]
        await client.data("/call/play/stop", {"callId": call_id})
        over = await events.until_type("playback.completed")
    assert (over["data"]["playbackId"], over["data"]["status"]) == (played, "stopped")
