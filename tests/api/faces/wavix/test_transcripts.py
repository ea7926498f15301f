"""Wavix's transcriptions of calls."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.sound.transcribing import TALKS, transcribing
from tests.support.sound.transcribing import wall_clock as wall_clock
from tests.support.waiting import until_answer

pytestmark = [
    pytest.mark.usefixtures("nodes"),
    pytest.mark.usefixtures("wall_clock"),
    pytest.mark.virtual_time,
]
QUERY = "appid=demo"
ORDER = {"from": "15550109000", "to": TALKS}


async def ask(client, method, path, body=None):
    async with client.http.request(method, f"{path}?{QUERY}", json=body) as response:
        return response.status, await response.json()


async def talked(client, seconds=4.0, **more):
    status, call = await ask(client, "POST", "/v1/call", ORDER | more)
    assert status == 200, call
    await asyncio.sleep(seconds)
    await ask(client, "DELETE", f"/v1/call/{call['uuid']}")
    return call["uuid"]


async def transcription(client, call_id):
    async def done():
        status, body = await ask(client, "GET", f"/v1/cdrs/{call_id}/transcription")
        return body if status == 200 else None

    return await until_answer(done, timeout=30)


async def test_a_call_is_transcribed_where_the_request_for_it_asks():
    async with transcribing() as (client, _):
        call_id = await talked(client, call_transcription=True)
        found = await transcription(client, call_id)
        assert found["call_uuid"] == call_id
        assert found["transcript"]["15550109000"] == ""
        assert found["transcript"][TALKS].startswith("I would like a table.")
        turn = found["turns"][0]
        assert (turn["type"], turn["text"]) == (TALKS, "I would like a table.")
        assert 0 <= turn["s"] < turn["e"]
        assert (found["status"], found["charge"], found["call_score"]) == ("completed", "0.0", None)
        for path in (f"/v1/cdr/{call_id}/transcription", f"/v1/cdrs/{call_id}/transcriptions"):
            assert await ask(client, "GET", path) == (200, found)


async def test_an_inbound_call_is_transcribed_where_its_answer_asks():
    async with transcribing() as (client, _):
        incoming = {"from": TALKS}
        call_id = (await client.data("/simulator/incoming", incoming))["callId"]
        status, body = await ask(
            client, "POST", f"/v1/call/{call_id}/answer", {"call_transcription": True}
        )
        assert (status, body["success"]) == (200, True), body
        await asyncio.sleep(4)
        await ask(client, "DELETE", f"/v1/call/{call_id}")
        assert (await transcription(client, call_id))["turns"][0]["type"] == TALKS


async def test_the_end_of_a_retranscription_is_told_to_its_webhook():
    told = []

    async def receive(request):
        told.append(await request.json())
        return web.Response()

    application = web.Application()
    application.router.add_post("/hook", receive)
    async with TestServer(application) as server, transcribing() as (client, _):
        call_id = await talked(client, call_recording=True)
        body = {"language": "en", "webhook_url": str(server.make_url("/hook"))}
        status, answer = await ask(client, "PUT", f"/v1/cdrs/{call_id}/retranscribe", body)
        assert (status, answer) == (200, {"success": True})
        await transcription(client, call_id)
        await until_answer(lambda: asyncio.sleep(0, told))
    assert told == [{"uuid": call_id, "status": "completed"}]


async def test_a_call_without_a_transcription_has_none():
    async with transcribing() as (client, _):
        call_id = await talked(client, 0.2)
        status, body = await ask(client, "GET", f"/v1/cdrs/{call_id}/transcription")
        assert (status, body["success"], body["error"]) == (404, False, True)
        status, body = await ask(client, "PUT", f"/v1/cdrs/{call_id}/retranscribe", {})
        assert status == 409
