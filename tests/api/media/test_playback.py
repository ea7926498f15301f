"""Playing into calls over HTTP: what may be played, what is refused, and that it is heard."""

import asyncio
import base64

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.settings.model import Data, Net
from tests.support.inprocess import running, settings
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

SILENT = "15550100008"
pytestmark = [pytest.mark.call, pytest.mark.usefixtures("nodes")]


def wav(seconds=0.5):
    return wav_file(tone(seconds).tobytes())


def spooled(folder):
    """What lies in the spool of any node."""
    return [path for path in (folder / "spool").rglob("*") if path.is_file()]


def at(folder, **more):
    return msgspec.structs.replace(settings(), data=Data(dir=str(folder)), **more)


async def test_base64_is_heard_by_the_contact_and_then_over(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        sound = base64.b64encode(wav(1.0)).decode()
        played = await client.data("/call/play", {"callId": call_id, "audioBase64": sound})
        assert played["status"] == "queued"
        runner = next(iter(client.bridge.manager.calls()))
        contact = runner.legs()[0]
        await until(lambda: contact.statistics().sent.level_dbov > -30)
        await until(lambda: len(runner.legs()) == 1)
        assert spooled(tmp_path) == []


async def test_a_file_of_the_media_folder_is_played_by_wagos_verb(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.wav").write_bytes(wav())
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        assert (await client.data("/call/play", {"CallID": call_id, "AudioFile": "a.wav"}))["ok"]


@pytest.mark.parametrize(
    ("name", "status"),
    [("../secret.wav", 400), ("/etc/passwd", 400), ("link.wav", 404), ("none.wav", 404)],
)
async def test_a_path_that_leads_out_of_the_media_folder_is_refused(tmp_path, name, status):
    (tmp_path / "files").mkdir()
    (tmp_path / "secret.wav").write_bytes(wav())
    (tmp_path / "files" / "link.wav").symlink_to(tmp_path / "secret.wav")
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        answer = await client.post("/call/play", {"CallID": call_id, "AudioFile": name})
        assert answer.status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"audioBase64": "!"}, 400),
        ({"audioBase64": base64.b64encode(b"#EXTM3U\n").decode()}, 400),
        ({"audioUrl": "http://127.0.0.1:1/a.wav"}, 422),
        ({"audioUrl": "file:///etc/passwd"}, 400),
        ({"audioUrl": "http://a/", "audioBase64": "AAAA"}, 400),
        ({"assetId": "asset_none"}, 404),
    ],
)
async def test_what_cannot_be_played_is_refused_at_once(tmp_path, body, status):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        answer = await client.post("/call/play", {"callId": call_id, **body})
        assert answer.status == status, await answer.text()
        assert spooled(tmp_path) == []


async def test_a_call_that_is_not_there_plays_nothing(tmp_path):
    async with running(at(tmp_path)) as client:
        body = {"callId": "0" * 32, "audioBase64": base64.b64encode(wav()).decode()}
        assert (await client.post("/call/play", body)).status == 404


async def test_a_url_is_fetched_once_its_network_is_allowed(tmp_path):
    async def file(request):
        return web.Response(body=wav())

    async def elsewhere(request):
        raise web.HTTPFound("http://169.254.169.254/latest")

    there = web.Application()
    there.add_routes([web.get("/a.wav", file), web.get("/away", elsewhere)])
    allowed = at(tmp_path, net=Net(allow=["127.0.0.0/8"]))
    async with running(allowed) as client, TestServer(there) as server:
        call_id = await client.dial(SILENT)
        url = str(server.make_url("/a.wav"))
        played = await client.post("/call/play", {"callId": call_id, "audioUrl": url})
        assert played.status == 200, await played.text()
        url = str(server.make_url("/away"))
        refused = await client.post("/call/play", {"callId": call_id, "audioUrl": url})
        assert refused.status == 422


async def test_a_playback_is_paused_resumed_and_stopped(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        sound = base64.b64encode(wav(5.0)).decode()
        body = {"callId": call_id, "audioBase64": sound, "repeat": 3}
        playback = (await client.data("/call/play", body))["playbackId"]
        one = {"callId": call_id, "playbackId": playback}
        assert await client.data("/call/play/pause", one) == {"paused": 1}
        assert await client.data("/call/play/resume", {"callId": call_id}) == {"resumed": 1}
        assert await client.data("/call/play/stop", one) == {"stopped": 1}
        assert (await client.post("/call/play/stop", one)).status == 404
        assert await client.data("/call/play/stop", {"callId": call_id}) == {"stopped": 0}


async def test_a_long_sound_that_is_stopped_is_let_go_of(tmp_path):
    async with running(at(tmp_path)) as client:
        call_id = await client.dial(SILENT)
        sound = base64.b64encode(wav(20.0)).decode()
        await client.data("/call/play", {"callId": call_id, "audioBase64": sound})
        await asyncio.sleep(0.1)  # more of it is decoded than is wanted yet
        assert await client.data("/call/play/stop", {"callId": call_id}) == {"stopped": 1}
        await until(lambda: not [t for t in asyncio.all_tasks() if "playback" in t.get_name()])
