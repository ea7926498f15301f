"""What is secret goes to the servers it was set for, and to no other URL that is set later."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict

from bridge.settings.model import Net
from tests.support.inprocess import KEY, running, settings
from tests.support.waiting import until

BEARER = {"Authorization": "Bearer demo"}
HOOKS = "/v1/webhooks"
OPEN = Net(allow=["127.0.0.0/8"])


class Listener:
    """A server that writes down the headers it is sent."""

    def __init__(self, url):
        self.url = url
        self.headers: list[CIMultiDict[str]] = []


@asynccontextmanager
async def listening():
    async def answer(request: web.Request) -> web.Response:
        here.headers.append(request.headers.copy())
        return web.json_response({})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        here = Listener(str(server.make_url("/speak")))
        yield here


@pytest.fixture
async def client():
    async with running(settings(net=OPEN)) as running_client:
        yield running_client


async def put(client, **fields):
    """Set how the line talks, and let it come into force."""
    async with client.http.put("/call/config", json=fields, headers=KEY) as response:
        assert response.status == 200
    await client.post("/session/connect", {})


async def speak(client):
    """Let the line's provider be asked for speech; what it answers is no sound."""
    call_id = await client.dial("15550100008")
    await client.post(f"/v1/call/{call_id}/tts", {"text": "hello"}, headers=BEARER)


async def test_a_provider_is_asked_with_the_token_that_was_set_for_it(client):
    async with listening() as provider:
        await put(client, callTtsUrl=provider.url, callProviderToken="secret")
        await put(client, callGreeting="Hello")
        await put(client, callTtsUrl=f"{provider.url}/other")
        await speak(client)
        assert provider.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("before", [{}, {"callTtsUrl": ""}])
async def test_a_url_of_another_origin_is_asked_without_the_token(client, before):
    async with listening() as provider, listening() as thief:
        await put(client, callTtsUrl=provider.url, callProviderToken="secret")
        await put(client, **before)
        await put(client, callTtsUrl=thief.url)
        await speak(client)
        assert thief.headers
        assert "Authorization" not in thief.headers[0]
        await put(client, callTtsUrl=provider.url)
        await speak(client)
        assert "Authorization" not in provider.headers[0]


async def test_one_new_origin_among_three_urls_is_enough(client):
    async with listening() as provider, listening() as thief:
        await put(client, callTtsUrl=provider.url, callProviderToken="secret")
        await put(client, callSttUrl=thief.url)
        await speak(client)
        assert "Authorization" not in provider.headers[0]


async def test_a_token_that_comes_with_the_new_url_is_kept(client):
    async with listening() as provider, listening() as other:
        await put(client, callTtsUrl=provider.url, callProviderToken="old")
        await put(client, callTtsUrl=other.url, callProviderToken="new")
        await speak(client)
        assert other.headers[0]["Authorization"] == "Bearer new"


@pytest.mark.parametrize(
    ("elsewhere", "more", "sent"),
    [
        (False, {}, True),
        (True, {}, False),
        (True, {"headers": {"X-Key": "new"}}, True),
    ],
)
async def test_a_webhooks_headers_stay_with_its_origin(client, elsewhere, more, sent):
    """Their values are never shown again, so they are as secret as a token."""
    async with listening() as receiver, listening() as thief:
        made = {"url": receiver.url, "headers": {"X-Key": "secret"}}
        async with client.http.post(HOOKS, json=made, headers=BEARER) as response:
            answer = await response.json()
        target = thief if elsewhere else receiver
        changed = {"url": f"{target.url}/2"} | more
        path = f"{HOOKS}/{answer['id']}"
        async with client.http.put(path, json=changed, headers=BEARER) as response:
            assert response.status == 200, await response.text()
        await client.dial("15550100008")
        await until(lambda: target.headers)
        assert ("X-Key" in target.headers[0]) is sent
