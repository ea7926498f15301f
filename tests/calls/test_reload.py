"""A page that is reloaded comes back under its leg's id, and hears the call on."""

import asyncio

import numpy as np
import pytest

from bridge.call.model import LegId
from tests.support.inprocess import KEY, running, with_limits
from tests.support.peers.signalling import SignallingError
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

pytestmark = pytest.mark.call

ECHO = "15550100001"
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


def machine_of(client, call_id):
    return next(
        one.machine for one in client.bridge.manager.calls() if one.facts.call_id == call_id
    )


def loudness(page: StockPeer) -> float:
    return float(np.abs(page.heard().astype(float)).max(initial=0.0))


async def heard_by(page: StockPeer) -> None:
    """Wait until the page hears what it says come back."""
    await until(lambda: loudness(page) > 1000, timeout=10.0)


async def says_goodbye(client, call_id: str, leg_id: str, page: StockPeer) -> None:
    """Do what a page does that is left: its close first, then its connection's."""
    body = {"callID": call_id, "legID": leg_id}
    assert (await client.post("/call/webrtc/close", body, headers=KEY)).status == 200
    await page.close()


async def only_its_connection_closes(client, call_id: str, leg_id: str, page: StockPeer) -> None:
    await page.close()
    await until(lambda: LegId(leg_id) not in machine_of(client, call_id).legs.records)


@pytest.mark.parametrize("leave", [says_goodbye, only_its_connection_closes])
async def test_a_reloaded_page_is_heard_again_under_its_legs_id(leave):
    async with running() as client, StockPeer(TONE, repeat=True) as reloaded:
        call_id = await client.dial(ECHO)
        async with StockPeer(TONE, repeat=True) as page:
            exchange = client.exchange(call_id)
            await page.call(exchange)
            await heard_by(page)
            await leave(client, call_id, exchange.leg_id, page)
        again = client.exchange(call_id, legID=exchange.leg_id)
        await reloaded.call(again)
        assert again.leg_id == exchange.leg_id
        await heard_by(reloaded)
        assert await client.state(call_id) == "active"
        assert LegId(exchange.leg_id) in machine_of(client, call_id).legs.records


async def test_a_leg_cannot_be_had_back_when_its_time_is_over():
    async with running(with_limits(abandoned_seconds=0.2)) as client, StockPeer() as stays:
        call_id = await client.dial(ECHO)
        await stays.call(client.exchange(call_id))
        async with StockPeer() as page:
            exchange = client.exchange(call_id)
            await page.call(exchange)
            await says_goodbye(client, call_id, exchange.leg_id, page)
        departed = machine_of(client, call_id).legs.departed
        loop_time = asyncio.get_running_loop().time
        await until(lambda: departed.find(LegId(exchange.leg_id), loop_time()) is None)
        async with StockPeer() as late:
            with pytest.raises(SignallingError) as refused:
                await late.call(exchange)
        assert refused.value.status == 404
