"""Connections to customers' servers: what one line holds open keeps no other waiting."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.settings.model import Limits, Line, Net
from tests.support.inprocess import running, settings
from tests.support.waiting import until

MINE, OTHERS = {"Authorization": "Bearer mine"}, {"Authorization": "Bearer other"}
SILENT = "15550100008"
STREAMS = 65
PER_CALL = 5


class Customers:
    """One server that takes streams and webhooks, and answers neither's handshake before it may."""

    def __init__(self):
        self.waiting = 0
        self.asked: list[str] = []
        self.let_go = asyncio.Event()

    async def stream(self, request: web.Request) -> web.Response:
        self.waiting += 1
        await self.let_go.wait()
        raise web.HTTPForbidden

    async def file(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        raise web.HTTPNotFound


@asynccontextmanager
async def customers():
    here = Customers()
    application = web.Application()
    application.add_routes([web.get("/stream", here.stream), web.get("/file", here.file)])
    async with TestServer(application) as server:
        try:
            yield here, f"127.0.0.1:{server.port}"
        finally:
            here.let_go.set()


@pytest.fixture
async def client():
    lines = {"mine": Line(keys=["mine"]), "other": Line(keys=["other"])}
    limits = Limits(overload_seconds=0.0, streams_per_line=STREAMS)
    chosen = settings(lines=lines, net=Net(allow=["127.0.0.0/8"]), limits=limits)
    async with running(chosen) as running_client:
        yield running_client


async def call(client, headers):
    """A call that has been answered."""
    body = {"phone": SILENT}
    async with client.http.post("/call/dial", json=body, headers=headers) as response:
        call_id = (await response.json())["data"]["callId"]
    [runner] = [r for r in client.bridge.manager.calls() if r.facts.call_id == call_id]
    await until(lambda: runner.machine.state == "active")
    return call_id


async def start(client, call_id, where, headers):
    body = {
        "stream_url": f"ws://{where}/stream",
        "stream_type": "oneway",
        "stream_channel": "inbound",
    }
    path = f"/v1/call/{call_id}/streams"
    async with client.http.post(path, json=body, headers=headers) as response:
        return response.status


async def fill(client, where):
    for _ in range(STREAMS // PER_CALL):
        call_id = await call(client, MINE)
        for _ in range(PER_CALL):
            assert await start(client, call_id, where, MINE) == 200


async def test_streams_of_one_line_keep_nobody_from_the_same_host(client):
    async with customers() as (here, where):
        await fill(client, where)
        await until(lambda: here.waiting == STREAMS)
        for headers in (MINE, OTHERS):
            call_id = await call(client, headers)
            body = {"callId": call_id, "audioUrl": f"http://{where}/file"}
            async with client.http.post("/call/play", json=body, headers=headers) as response:
                assert response.status == 400
        assert here.asked == ["/file", "/file"]


async def test_a_line_has_only_so_many_streams(client):
    async with customers() as (_, where):
        await fill(client, where)
        assert await start(client, await call(client, MINE), where, MINE) == 429
        assert await start(client, await call(client, OTHERS), where, OTHERS) == 200
