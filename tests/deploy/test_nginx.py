"""The example for nginx, run in front of a bridge on the same machine."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.settings.model import Http, Line
from tests.support.inprocess import Client, running, settings
from tests.support.peers.signalling import HttpExchange
from tests.support.peers.stock_peer import StockPeer
from tests.support.servers.nginx import NAME, running_nginx
from tests.support.sound.speech_compare import tone

pytestmark = pytest.mark.nginx

KEY = "the-long-key-of-the-line-main"
TOKEN = {"token": KEY}
BEHIND = Http(public_url=f"https://{NAME}", trusted_proxies=["127.0.0.1/32"])


@dataclass
class Outside:
    """What a client has that knows the proxy alone."""

    url: str
    http: aiohttp.ClientSession
    bridge: Client
    folder: Path

    async def dial(self, phone: str) -> str:
        async with self.http.post("/call/dial", json={"phone": phone}, headers=TOKEN) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["data"]["callId"])


@asynccontextmanager
async def behind_nginx(folder: Path) -> Any:
    lines = {"main": Line(keys=[KEY])}
    async with running(settings(http=BEHIND, lines=lines)) as client:
        bridge_port = client.http.port
        assert bridge_port is not None
        with running_nginx(folder, bridge_port) as port:
            url = f"https://127.0.0.1:{port}"
            connector = aiohttp.TCPConnector(ssl=False)
            named = {"Host": NAME}
            async with aiohttp.ClientSession(url, connector=connector, headers=named) as http:
                yield Outside(url, http, client, folder)


@pytest.fixture
async def outside(tmp_path):
    async with behind_nginx(tmp_path) as found:
        yield found


async def test_pages_and_requests_pass_and_metrics_do_not(outside):
    assert (await outside.http.get("/")).status == 200
    assert (await outside.http.get("/call/status", headers=TOKEN)).status == 200
    assert (await outside.http.get("/metrics", headers=TOKEN)).status == 404
    other = await outside.http.get("/call/status", headers=TOKEN | {"Host": "evil.example"})
    assert other.status == 403


async def test_an_offer_passes_and_the_caller_hears_the_echo(outside):
    call_id = await outside.dial("15550100001")
    async with StockPeer(tone(10)) as peer:
        await peer.call(HttpExchange(outside.http.post, "", call_id=call_id, key=KEY))
        await peer.wait_heard(1.0)


async def test_a_websocket_passes_in_both_directions(outside):
    call_id = await outside.dial("15550100001")
    async with outside.http.ws_connect(f"/call/{call_id}/stream?token={KEY}") as ws:
        async with asyncio.timeout(10):
            for _ in range(10):
                await ws.send_bytes(b"\1\1" * 960)
                message = await ws.receive()
                assert message.type is aiohttp.WSMsgType.BINARY
                assert len(message.data) == 1920
    assert KEY not in (outside.folder / "access.log").read_text()


async def test_events_arrive_as_they_happen(outside):
    async with outside.http.get("/events", headers=TOKEN) as stream:
        call_id = await outside.dial("15550100003")
        async with asyncio.timeout(3):
            while not (line := await stream.content.readline()).startswith(b"data:"):
                pass
        assert call_id in json.dumps(json.loads(line[5:]))


async def test_what_a_client_says_of_its_address_is_not_believed(outside):
    wrong = [
        await outside.http.get(
            "/call/status", headers={"token": "wrong", "X-Forwarded-For": f"192.0.2.{number}"}
        )
        for number in range(22)
    ]
    assert [answer.status for answer in wrong] == [401] * 20 + [429] * 2
    assert (await outside.http.get("/call/status", headers=TOKEN)).status == 200
