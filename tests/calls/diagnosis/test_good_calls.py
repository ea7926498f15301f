"""Good calls of real parties: nothing is said to be wrong with them, and at most one notice each."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from bridge.settings.model import Net
from tests.support.clients.open_problems import diagnosis
from tests.support.clients.pcm_client import pcm_client
from tests.support.inprocess import Client, running, settings
from tests.support.peers.stock_peer import StockPeer
from tests.support.servers.stream_customer import customer_server
from tests.support.sound.voices import words
from tests.support.two_nodes import one_node_only

ECHO, TALKS, SILENT, REPEATS = (f"1555010000{number}" for number in (1, 2, 8, 9))
SECONDS = 9.0
pytestmark = [pytest.mark.call, one_node_only]


async def browser(client: Client, stack: AsyncExitStack, call_id: str, voice: int = 0) -> None:
    peer = await stack.enter_async_context(StockPeer(words(voice), repeat=True))
    await peer.call(client.exchange(call_id))


async def browser_and_talker(client: Client, stack: AsyncExitStack) -> str:
    call_id = await client.dial(TALKS)
    await browser(client, stack, call_id)
    return call_id


async def browser_and_echo(client: Client, stack: AsyncExitStack) -> str:
    call_id = await client.dial(ECHO)
    await browser(client, stack, call_id)
    return call_id


async def browser_and_parrot(client: Client, stack: AsyncExitStack) -> str:
    call_id = await client.dial(REPEATS)
    await browser(client, stack, call_id)
    return call_id


async def two_browsers(client: Client, stack: AsyncExitStack) -> str:
    call_id = str((await client.data("/call/dial", {"channel": "webrtc"}))["callId"])
    await browser(client, stack, call_id)
    far = await stack.enter_async_context(StockPeer(words(1), repeat=True))
    await far.call(client.exchange(call_id, party="far"))
    return call_id


async def conference_of_three(client: Client, stack: AsyncExitStack) -> str:
    call_id = await browser_and_talker(client, stack)
    await asyncio.sleep(2.0)
    await browser(client, stack, call_id, voice=1)
    return call_id


async def recorded(client: Client, stack: AsyncExitStack) -> str:
    call_id = await browser_and_talker(client, stack)
    await client.data("/call/record/start", {"callId": call_id})
    return call_id


async def muted_for_a_while(client: Client, stack: AsyncExitStack) -> str:
    call_id = await browser_and_talker(client, stack)
    await client.data("/call/mute", {"callId": call_id, "muted": True})
    await asyncio.sleep(3.0)
    await client.data("/call/mute", {"callId": call_id, "muted": False})
    return call_id


async def bot_at_a_socket(client: Client, stack: AsyncExitStack) -> str:
    call_id = await client.dial(TALKS)
    path = f"/call/{call_id}/stream?token=demo"
    socket = await stack.enter_async_context(pcm_client(client.http, path))
    await asyncio.sleep(3.0)  # it listens first
    speech = asyncio.create_task(socket.speak(words(0, 4.0)))
    stack.callback(speech.cancel)
    return call_id


async def stream(client: Client, stack: AsyncExitStack) -> str:
    server = await stack.enter_async_context(customer_server())
    call_id = await client.dial(TALKS)
    body = {"stream_url": server.url, "stream_type": "twoway", "stream_channel": "inbound"}
    started = await client.http.post(f"/v1/call/{call_id}/streams?appid=demo", json=body)
    assert started.status == 200
    return call_id


async def agent(client: Client, stack: AsyncExitStack) -> str:
    call_id = await client.dial(TALKS)
    await client.data("/call/agent/start", {"callId": call_id, "mode": "ai"})
    return call_id


KINDS = [
    browser_and_talker,
    pytest.param(browser_and_echo, marks=pytest.mark.full),
    pytest.param(browser_and_parrot, marks=pytest.mark.full),
    two_browsers,
    conference_of_three,
    pytest.param(recorded, marks=pytest.mark.full),
    pytest.param(muted_for_a_while, marks=pytest.mark.full),
    bot_at_a_socket,
    stream,
    agent,
]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_good_call_raises_nothing(kind):
    local = settings(net=Net(allow=["127.0.0.0/8"]))
    async with running(local) as client, AsyncExitStack() as stack:
        call_id = await kind(client, stack)
        await asyncio.sleep(SECONDS)
        found = await diagnosis(client, call_id)
        assert [one for one in found["problems"] if one["severity"] != "notice"] == []
        assert len(found["problems"]) <= 1
        assert found["verdict"] == "ok"
