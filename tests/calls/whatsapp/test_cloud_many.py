"""Two hundred WhatsApp calls set up at once, by a bridge of its own process."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.support.peers.meta_peer import LightMeta
from tests.support.server import free_media_ports, running
from tests.support.two_nodes import one_node_only
from tests.support.virtual_time import monotonic
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import (
    NUMBER_ID,
    SECRET,
    TOKEN,
    VERIFY,
    DoubleCall,
    GraphDouble,
)

# How many at once is a question to one node.
pytestmark = [pytest.mark.call, pytest.mark.load, one_node_only]

SECONDS = 60.0
"""In which all of them are to be up, sound flowing."""


class Bridge:
    """The bridge's API."""

    def __init__(self, server, http: aiohttp.ClientSession) -> None:
        self.url = server.url
        self._http = http

    async def post(self, path: str, body: object) -> Any:
        headers = {"token": "many"}
        async with self._http.post(f"{self.url}{path}", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.json())["data"]

    async def calls(self) -> Any:
        async with self._http.get(f"{self.url}/call/status", headers={"token": "many"}) as answer:
            return (await answer.json())["data"]["calls"]

    async def ended(self) -> float:
        """How many calls there have been."""
        async with self._http.get(f"{self.url}/metrics", headers={"token": "many"}) as answer:
            lines = (await answer.text()).splitlines()
        told = [line for line in lines if line.startswith("bridge_calls_ended_total")]
        return sum(float(line.split()[-1]) for line in told)

    async def until(self, found) -> Any:
        """Wait until the list of calls is as it should be."""
        while not found(calls := await self.calls()):
            await asyncio.sleep(0.1)
        return calls


@asynccontextmanager
async def many(folder, count):
    async with GraphDouble(media=LightMeta) as graph, aiohttp.ClientSession() as http:
        whatsapp = {
            "provider": "cloud", "phone_number_id": NUMBER_ID, "access_token": TOKEN,
            "app_secret": SECRET, "verify_token": VERIFY, "base_url": graph.url,
        }  # fmt: skip
        line = {"keys": ["many"], "numbers": ["15550101000"], "whatsapp": whatsapp}
        settings = {
            "LINES": json.dumps({"main": line}),
            "RTC__PORTS": free_media_ports(count),
            "RTC__BIND": '["127.0.0.1"]',
        }
        loop = asyncio.get_running_loop()
        server = running(folder / "bridge", key="many", **settings)
        started = await loop.run_in_executor(None, server.__enter__)
        try:
            graph.webhook = f"{started.url}/whatsapp/webhook"
            yield graph, Bridge(started, http)
        finally:
            await loop.run_in_executor(None, server.__exit__, None, None, None)
    assert graph.complaints == []


@pytest.mark.real_time  # its bridge is another process
@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.full)])
async def test_calls_at_once_ring_connect_and_end(tmp_path, record_property, count):
    async with many(tmp_path, count) as (graph, bridge), asyncio.timeout(SECONDS + 20):
        began = monotonic()

        async def set_up(number: int) -> DoubleCall:
            user = f"1555020{number:04}"
            call = await graph.ring(user=user) if number % 2 else await dial(user)
            await call.media.wait_connected(SECONDS)
            return call

        async def dial(user: str) -> DoubleCall:
            await bridge.post("/call/dial", {"phone": user})
            calls: list[DoubleCall] = list(graph.calls.values())
            return next(call for call in calls if call.user == user)

        users = await asyncio.gather(*(set_up(number) for number in range(count)))
        listed = await bridge.until(lambda calls: len(calls) == count)
        ids = {call["peer"].partition("@")[0]: call["callId"] for call in listed}

        async def talk(call: DoubleCall) -> None:
            if call.inbound:
                await bridge.post("/call/answer", {"callId": ids[call.user]})
            else:
                await graph.pick_up(call)
            await until(lambda: call.media.packets >= 5, timeout=SECONDS)

        await asyncio.gather(*(talk(call) for call in users))
        took = monotonic() - began
        record_property("seconds until all are talking", round(took, 1))
        await bridge.until(lambda calls: Counter(c["state"] for c in calls) == {"active": count})
        assert took < SECONDS
        asked = Counter(graph.actions())
        assert asked == {"connect": count // 2, "pre_accept": count // 2, "accept": count // 2}

        async def end(number: int, call: DoubleCall) -> None:
            if number % 4 < 2:
                await graph.hang_up(call)
            else:
                await bridge.post("/call/hangup", {"callId": ids[call.user]})

        await asyncio.gather(*(end(number, call) for number, call in enumerate(users)))
        await bridge.until(lambda calls: not calls)
        await until(lambda: all(call.state == "ENDED" for call in users), timeout=10)
        assert Counter(graph.actions())["terminate"] == count // 2
        assert await bridge.ended() == count
