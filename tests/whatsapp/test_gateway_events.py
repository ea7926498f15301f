import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from bridge.backoff import Backoff
from bridge.errors import LegError
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.whatsapp.gateway import EventFeed
from bridge.whatsapp.gateway_rest import Rest
from bridge.wire.gateway import Webhook
from tests.support.waiting import until
from tests.support.whatsapp.gateway_double import SESSION, TOKEN, WaDialDouble


@asynccontextmanager
async def listening(*, refuse=None):
    """A gateway and what it told; None stands for a stream that has opened."""
    http = Http(Guard(allow=(), require_tls=False))
    told: list[Webhook | None] = []
    async with WaDialDouble() as double:
        double.refuse.update(refuse or {})
        rest = Rest(http, double.url, {"Authorization": f"Bearer {TOKEN}"})
        path = f"/api/v1/sessions/{SESSION}/events"
        feed = EventFeed(rest, path, backoff=Backoff(0.01, 0.02))
        task = asyncio.ensure_future(feed.run(told.append))
        try:
            yield double, told
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await http.aclose()


async def test_an_event_of_a_call_is_told():
    async with listening() as (double, told):
        call = double.ring()
        await until(lambda: told == [None])
        await double.publish("message.received", call)
        await double.publish("call.ended", call)
        await until(lambda: len(told) == 2)
        assert (told[1].kind, call.call_id in told[1].texts) == ("ended", True)


async def test_a_stream_that_breaks_is_asked_for_again_from_the_last_event_on():
    async with listening() as (double, told):
        await until(lambda: told == [None])
        await double.publish("call.ended", double.ring(), event_id="evt_7")
        await until(lambda: len(told) == 2)
        double.listeners.clear()
        await until(lambda: double.last_ids == [None, "evt_7"])
        await until(lambda: told[2:] == [None])


@pytest.mark.parametrize("status", [401, 404, 500, 204])
async def test_an_engine_without_such_a_stream_is_asked_again_and_again(status):
    async with listening(refuse={"events": (status, "no")}) as (double, told):
        await until(lambda: len(double.requests) >= 3)
        assert told == []
        double.refuse.clear()
        await until(lambda: told == [None])


class Refusing:
    """A gateway without a stream; notes when it was asked."""

    def __init__(self):
        self.asked = []

    async def stream(self, path, *, last_id):
        self.asked.append(asyncio.get_running_loop().time())
        raise LegError("no")
        yield b""


@pytest.mark.virtual_time
async def test_pauses_grow():
    rest: Any = Refusing()
    task = asyncio.ensure_future(EventFeed(rest, "/events").run(lambda webhook: None))
    await asyncio.sleep(100)
    task.cancel()
    assert [after - before for before, after in pairwise(rest.asked)] == [1, 2, 4, 8, 16, 30, 30]
