"""Playing into calls over the Wavix face."""

import uuid
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.settings.model import Net
from tests.support.inprocess import running, settings
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"


@pytest.fixture
async def client():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


@asynccontextmanager
async def sound():
    async def file(_):
        return web.Response(body=wav_file(tone(1).tobytes()), content_type="audio/wav")

    there = web.Application()
    there.add_routes([web.get("/a.wav", file)])
    async with TestServer(there) as server:
        yield str(server.make_url("/a.wav"))


async def ask(client, method, path, body=None):
    sent = {} if body is None else {"json": body}
    async with client.http.request(method, f"/v1/call/{path}?appid=demo", **sent) as response:
        return response.status, await response.json()


def playbacks(client):
    [runner] = client.bridge.manager.calls()
    return [leg.leg_id for leg in runner.legs() if leg.kind == "playback"]


async def test_a_url_is_played_and_stopped(client):
    call_id = await client.dial(ECHO)
    async with sound() as url:
        body = {"audio_file": url, "delay_before_playing": 10_000}
        status, answer = await ask(client, "POST", f"{call_id}/play", body)
    assert (status, answer["success"]) == (200, True)
    assert playbacks(client) == [answer["playback_id"]]
    assert await ask(client, "DELETE", f"{call_id}/audio") == (200, {"success": True})
    await until(lambda: not playbacks(client))


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "audio_file"),
        ({"audio_file": "ftp://x/a.wav"}, 400, "audio_file"),
        ({"audio_file": "http://127.0.0.1/", "delay_before_playing": 10_001}, 400, None),
        ({"audio_file": "http://127.0.0.1/", "delay_before_playing": -1}, 400, None),
        ({"audio_file": "http://10.0.0.1/a.wav"}, 422, "audio_file"),
    ],
)
async def test_what_cannot_be_played_is_refused(client, body, status, field):
    call_id = await client.dial(ECHO)
    refused, answer = await ask(client, "POST", f"{call_id}/play", body)
    assert (refused, answer["success"]) == (status, False)
    named = "delay_before_playing" if field is None else field
    assert list(answer["errors"]) == [named]
    assert playbacks(client) == []


@pytest.mark.parametrize(("method", "path"), [("POST", "play"), ("DELETE", "audio")])
async def test_an_unknown_call_is_a_404(client, method, path):
    body = {"audio_file": "http://127.0.0.1/a.wav"}
    status, answer = await ask(client, method, f"{uuid.uuid4()}/{path}", body)
    assert (status, answer["success"]) == (404, False)
