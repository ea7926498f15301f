"""Collecting digits over the Wavix face: the echo presses each key that it is sent."""

import uuid
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.settings.model import Net
from tests.support.clients.vendor import ECHO, NEVER, Vendor, two_lines
from tests.support.inprocess import running, settings
from tests.support.servers.provider_double import tone_wav
from tests.support.servers.receiver import receiving
from tests.support.waiting import until

KEY = "?appid=demo"

pytestmark = pytest.mark.usefixtures("nodes")


@pytest.fixture
async def client():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


@pytest.fixture
async def hook():
    async with receiving() as hook:
        yield hook


@asynccontextmanager
async def served(content: bytes):
    async def file(_):
        return web.Response(body=content, content_type="audio/wav")

    there = web.Application()
    there.add_routes([web.get("/a.wav", file)])
    async with TestServer(there) as server:
        yield str(server.make_url("/a.wav"))


async def ask(client, call_id, body, *, verb="collect"):
    path = f"/v1/call/{call_id}/{verb}{KEY}"
    async with client.http.post(path, json=body) as response:
        return response.status, await response.json()


async def answered(client, hook) -> str:
    body = {"from": "15550109000", "to": ECHO, "status_callback": hook.url}
    async with client.http.post(f"/v1/call{KEY}", json=body) as response:
        call_id = str((await response.json())["uuid"])
    [runner] = client.bridge.manager.calls()
    await until(lambda: runner.machine.state == "active")
    return call_id


async def press(client, call_id, digits: str) -> None:
    await client.data("/call/dtmf", {"callId": call_id, "digits": digits})


def collected(hook) -> list[tuple[str, str]]:
    """What was sent of digits: status and digits, in order."""
    bodies = [taken.json for taken in hook.taken]
    found = [body["event_payload"] for body in bodies if body["event_type"] == "on_call_event"]
    results = [payload["payload"] for payload in found if payload["type"] == "collect"]
    return [(payload["status"], payload["digits"]) for payload in results]


def prompts(client) -> list[str]:
    [runner] = client.bridge.manager.calls()
    return [leg.leg_id for leg in runner.legs() if leg.kind == "playback"]


async def test_digits_are_collected_and_sent_to_the_calls_callback(client, hook):
    call_id = await answered(client, hook)
    body = {"max_digits": 4, "timeout": 30}
    assert await ask(client, call_id, body) == (200, {"success": True})
    await press(client, call_id, "12#4")
    await until(lambda: len(collected(hook)) == 2)
    assert collected(hook) == [("started", ""), ("completed", "12#4")]


async def test_a_termination_character_ends_the_input(client, hook):
    call_id = await answered(client, hook)
    await ask(client, call_id, {"termination_character": "#", "timeout": 30})
    await press(client, call_id, "123#")
    await until(lambda: len(collected(hook)) == 2)
    assert collected(hook)[-1] == ("completed", "123")


async def test_too_few_digits_are_reported_as_failed(client, hook):
    call_id = await answered(client, hook)
    await ask(client, call_id, {"min_digits": 3, "termination_character": "#", "timeout": 30})
    await press(client, call_id, "1#")
    await until(lambda: len(collected(hook)) == 2)
    assert collected(hook)[-1] == ("failed", "1")


async def test_what_is_collected_goes_to_a_callback_of_its_own(client, hook):
    call_id = await answered(client, hook)
    async with receiving() as other:
        await ask(client, call_id, {"max_digits": 1, "callback_url": other.url})
        await press(client, call_id, "7")
        await until(lambda: len(collected(other)) == 2)
    assert collected(hook) == []


@pytest.mark.parametrize("form", ["prompt", "audio"])
async def test_a_prompt_is_played_at_each_attempt_and_a_key_stops_it(client, hook, form):
    call_id = await answered(client, hook)
    async with served(tone_wav(20)) as url:
        sound = {"prompt": {"play": url}} if form == "prompt" else {"audio": {"url": url}}
        wanted = {"min_digits": 2, "max_attempts": 2, "termination_character": "#", "timeout": 30}
        assert (await ask(client, call_id, wanted | sound))[0] == 200
    [first] = prompts(client)
    await press(client, call_id, "1")
    await until(lambda: prompts(client) == [])
    await press(client, call_id, "#")
    await until(lambda: len(prompts(client)) == 1 and prompts(client) != [first])
    await press(client, call_id, "55#")
    await until(lambda: collected(hook)[-1:] == [("completed", "55")])
    assert prompts(client) == []


async def test_one_collection_at_a_time(client, hook):
    call_id = await answered(client, hook)
    assert (await ask(client, call_id, {"timeout": 60}))[0] == 200
    assert (await ask(client, call_id, {"timeout": 60}))[0] == 409


async def test_a_call_that_rings_presses_no_keys(client):
    call_id = await client.dial(NEVER)
    assert (await ask(client, call_id, {}))[0] == 409


@pytest.mark.parametrize("verb", ["tts", "collect"])
async def test_a_text_is_spoken_by_the_lines_provider(client, hook, verb):
    call_id = await answered(client, hook)
    body = {"text": "Your code, please."}
    sent = body if verb == "tts" else {"prompt": {"say": body}}
    assert (await ask(client, call_id, sent, verb=verb))[0] == 200
    assert len(prompts(client)) == 1


@pytest.mark.parametrize("verb", ["tts", "collect"])
async def test_without_a_provider_of_speech_a_text_is_a_501(verb):
    async with running(two_lines()) as client:
        vendor = Vendor(client.http)
        _, call = await vendor.post("/v1/call", {"from": "15550109000", "to": ECHO})
        [runner] = client.bridge.manager.calls()
        await until(lambda: runner.machine.state == "active")
        body = {"text": "Your code, please."}
        sent = body if verb == "tts" else {"prompt": {"say": body}}
        status, answer = await vendor.post(f"/v1/call/{call['id']}/{verb}", sent)
    assert (status, answer["success"]) == (501, False)
    assert "callTtsUrl" in answer["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_digits": 0}, "max_digits"),
        ({"min_digits": 21}, "min_digits"),
        ({"min_digits": 5, "max_digits": 4}, "min_digits"),
        ({"timeout": 61}, "timeout"),
        ({"termination_character": "ab"}, "termination_character"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"prompt": "hello"}, "prompt"),
        ({"prompt": {"say": {}}}, "text"),
        ({"prompt": {"play": "ftp://x"}}, "play"),
        ({"callback_url": "ftp://x"}, "callback_url"),
    ],
)
async def test_a_wrong_field_is_named(client, hook, body, field):
    status, answer = await ask(client, await answered(client, hook), body)
    assert (status, list(answer["errors"])) == (400, [field])


async def test_an_unknown_call_is_a_404(client):
    assert (await ask(client, uuid.uuid4(), {}))[0] == 404
