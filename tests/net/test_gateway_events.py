import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.net import gateway_events
from bridge.net.gateway import engine
from bridge.net.guard import Guard
from bridge.net.http import Http
from bridge.wire.gateway import Webhook
from tests.support.gateway_double import SESSION, TOKEN, WaDialDouble
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(gateway_events, "MIN_BACKOFF", 0.01)
    monkeypatch.setattr(gateway_events, "MAX_BACKOFF", 0.02)


@asynccontextmanager
async def listening(*, refuse=None):
    """An engine and what it told; None stands for a stream that has opened."""
    http = Http(Guard(allow=(), require_tls=False))
    told: list[Webhook | None] = []
    async with WaDialDouble() as double:
        double.refuse.update(refuse or {})
        asked = engine(http, dialect="wadial", url=double.url, token=TOKEN, session=SESSION)
        assert asked.feed is not None
        task = asyncio.ensure_future(asked.feed.run(told.append))
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


async def test_pauses_grow(monkeypatch):
    pauses = []
    real = asyncio.sleep

    async def sleep(seconds):
        if seconds > 0.1:
            pauses.append(seconds)
        await real(0)

    monkeypatch.setattr(gateway_events, "MIN_BACKOFF", 1.0)
    monkeypatch.setattr(gateway_events, "MAX_BACKOFF", 30.0)
    async with listening(refuse={"events": (500, "no")}):
        monkeypatch.setattr(asyncio, "sleep", sleep)
        async with asyncio.timeout(5):
            while len(pauses) < 7:
                await real(0.001)
        monkeypatch.undo()
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
