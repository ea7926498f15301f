"""Upgrades that pass calls with streams, media sockets and agents to the new nodes, with processes."""

import asyncio
import json
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from itertools import pairwise

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.supervisor.test_main import until
from tests.supervisor.test_main_handover import MAX_SILENCE, events_of
from tests.supervisor.test_main_upgrade import KEY, order, supervised
from tests.support.server import Server
from tests.support.servers.stream_customer import CustomerServer, customer_server

TALKS, SILENT = "15550100002", "15550100008"
UPGRADES = 2

pytestmark = [pytest.mark.full, pytest.mark.real_time]


class Listener:
    """A client of a media socket that connects again when it is asked to."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("http", "ws", 1)
        self.times: list[float] = []
        self.codes: list[int | None] = []

    async def listen(self) -> None:
        while self.codes.count(1012) == len(self.codes):
            async with connect(self._url, compression=None) as ws:
                with suppress(ConnectionClosed):
                    while await ws.recv():
                        self.times.append(time.monotonic())
            self.codes.append(ws.close_code)


def longest(times: list[float]) -> float:
    return max(after - before for before, after in pairwise(times))


async def three_calls(http: aiohttp.ClientSession, server: Server, url: str) -> list[str]:
    """Return a call in a stream, one for a media socket, and one with an agent."""
    calls = []
    for phone in (TALKS, TALKS, SILENT):
        async with http.post(f"{server.url}/call/dial", json={"phone": phone}) as dialled:
            calls.append(str((await dialled.json())["data"]["callId"]))
    wanted = {
        f"/call/{calls[0]}/streams": {"streamUrl": url},
        "/call/agent/start": {"callId": calls[2]},
    }
    for path, body in wanted.items():
        async with http.post(server.url + path, json=body) as response:
            assert response.status == 200, await response.text()
    return calls


def heard(customers: CustomerServer) -> list[float]:
    """Return when a server got audio, over all its connections."""
    return [
        at
        for one in customers.customers
        for message, at in zip(one.messages, one.arrived, strict=True)
        if message["event"] == "media"
    ]


async def test_streams_sockets_and_agents_go_on_at_the_nodes_of_each_upgrade():
    with supervised(NET__ALLOW=json.dumps(["127.0.0.0/8"])) as server:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
            customers = await stack.enter_async_context(customer_server())
            calls = await three_calls(http, server, customers.url)
            socket = Listener(f"{server.url}/call/{calls[1]}/stream?token=demo&resume=mine")
            listening = asyncio.create_task(socket.listen())
            await asyncio.sleep(1)
            for number in range(1, UPGRADES + 1):
                upgraded = await asyncio.to_thread(order, server, "upgrade", "--wait")
                assert (upgraded.returncode, upgraded.stderr) == (0, "")
                assert "3 calls handed over, 0 left" in upgraded.stdout
                assert server.log().count("node.drained") == number
                await asyncio.sleep(1)
            assert [one.code for one in customers.customers] == [1012] * UPGRADES + [None]
            assert [one.of("start")[0].get("resumed") for one in customers.customers] == [None] + [
                True
            ] * UPGRADES
            assert longest(heard(customers)) < MAX_SILENCE
            assert socket.codes == [1012] * UPGRADES
            assert longest(socket.times) < MAX_SILENCE
            for call_id in calls:
                async with http.post(f"{server.url}/call/hangup", json={"callId": call_id}) as end:
                    assert end.status == 200
            await listening
            assert socket.codes[-1] == 1000
        until(
            lambda: all("call.ended" in events_of(server, one) for one in calls),
            "all ends are written",
        )
        for call_id in calls:
            types = Counter(events_of(server, call_id))
            assert types["call.recovered"] == UPGRADES
            assert types["leg.joined"] == types["leg.left"] == 2
            assert types["stream.started"] == types["stream.ended"] == (call_id == calls[0])
        for unwanted in ("node.lost", "Traceback", "reason=drained", "handover.refused"):
            assert unwanted not in server.log()
        server.end_calls()
