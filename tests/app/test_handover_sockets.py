"""Calls with media sockets pass from one bridge to another of the same machine; the clients connect again."""

import asyncio

import pytest

from bridge.call.model import CallId
from bridge.legs.socket import SocketLeg
from bridge.settings.model import Limits
from tests.support.clients.pcm_client import pcm_client
from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

TALKS, REPEATS = "15550100002", "15550100009"
LOUD = b"\xe8\x03" * 16_000


def path(call_id: str, resume: str = "mine") -> str:
    return f"/call/{call_id}/stream?token=demo&resume={resume}"


async def active(calls: MovingCalls, contact: str = TALKS) -> str:
    call_id = await calls.client.dial(contact)
    await calls.client.until_state(call_id, "active")
    return call_id


def sockets_of(calls: MovingCalls, call_id: str) -> list[SocketLeg]:
    return [leg for leg in calls.runner(call_id).legs() if isinstance(leg, SocketLeg)]


def socket_of(calls: MovingCalls, call_id: str) -> SocketLeg:
    [leg] = sockets_of(calls, call_id)
    return leg


async def test_a_client_connects_again_and_finds_its_leg():
    async with moving_calls() as calls:
        call_id = await active(calls)
        async with pcm_client(calls.client.http, path(call_id)) as first:
            await until(lambda: first.sound)
            await first.send(LOUD * 2)
            before = socket_of(calls, call_id)
            await calls.client.data(
                "/call/mute", {"callId": call_id, "legID": before.leg_id, "muted": True}
            )
            assert calls.movable() == [call_id]
            await calls.move(call_id)
            await until(lambda: first.code == 1012)
        waiting = socket_of(calls, call_id)
        assert waiting.reconnecting
        async with pcm_client(calls.client.http, path(call_id)) as again:
            await until(lambda: len(again.sound) > 10)
            assert max(again.heard()) > 1000
            assert socket_of(calls, call_id) is waiting
            assert waiting.leg_id == before.leg_id
            assert not waiting.reconnecting
            assert calls.runner(call_id).machine.legs.records[waiting.leg_id].muted
            figures = waiting.statistics()
            assert figures.received.packets == 1
            assert figures.sent.packets >= len(first.sound) + len(again.sound)
            await until(lambda: waiting.statistics().received.frames == 100)
        await until(lambda: "leg.left" in calls.events)
        told = [kind for kind in calls.events if kind in ("leg.joined", "leg.left")]
        assert told == ["leg.joined", "leg.joined", "leg.left"]


async def test_a_client_that_stays_away_has_left_after_a_while():
    limits = Limits(overload_seconds=0.0, resume_seconds=4.0)
    async with moving_calls(limits=limits) as calls:
        call_id = await active(calls)
        async with pcm_client(calls.client.http, path(call_id)):
            await until(lambda: calls.movable() == [call_id])
            await calls.move(call_id)
        await until(lambda: (1, "leg.left") in calls.told, timeout=20.0)
        async with pcm_client(calls.client.http, path(call_id)) as late:
            await until(lambda: late.sound)
            assert calls.events.count("leg.joined") == 3


async def test_a_call_whose_browser_has_left_is_not_abandoned_while_a_client_is_waited_for():
    limits = Limits(overload_seconds=0.0, resume_seconds=6.0, abandoned_seconds=2.0)
    async with moving_calls(limits=limits) as calls, StockPeer() as page:
        call_id = await active(calls)
        await page.call(calls.client.exchange(call_id))
        await until(lambda: calls.movable() == [call_id])
        async with pcm_client(calls.client.http, path(call_id)):
            await page.close()
            await until(lambda: "leg.left" in calls.events)
            await until(lambda: calls.movable() == [call_id])
            await calls.move(call_id)
        await asyncio.sleep(4.0)
        assert await calls.client.state(call_id) == "active"
        await until(lambda: calls.events.count("leg.left") == 2)


async def test_a_call_with_a_leg_that_waits_moves_on():
    async with moving_calls() as calls:
        call_id = await active(calls)
        async with pcm_client(calls.client.http, path(call_id)) as first:
            await until(lambda: calls.movable() == [call_id])
            await calls.move(call_id)
            await calls.move(call_id)
            await until(lambda: first.code == 1012)
        async with pcm_client(calls.client.http, path(call_id)) as again:
            await until(lambda: again.sound)
            assert "leg.left" not in calls.events


async def test_each_client_finds_its_own_leg():
    async with moving_calls() as calls:
        call_id = await active(calls)
        http = calls.client.http
        async with pcm_client(http, path(call_id, "a")), pcm_client(http, path(call_id, "b")):
            await until(lambda: calls.movable() == [call_id])
            first, second = sockets_of(calls, call_id)
            await calls.move(call_id)
        http = calls.client.http
        legs = {leg.leg_id: leg for leg in sockets_of(calls, call_id)}
        async with pcm_client(http, path(call_id, "b")) as client:
            await until(lambda: client.sound)
            assert legs[first.leg_id].reconnecting
            assert not legs[second.leg_id].reconnecting
        async with pcm_client(http, path(call_id, "c")) as stranger:
            await until(lambda: stranger.sound)
            assert legs[first.leg_id].reconnecting


@pytest.mark.parametrize(
    ("query", "limits"),
    [
        ("", Limits(overload_seconds=0.0)),
        ("&resume=a", Limits(overload_seconds=0.0, resume_seconds=0.0)),
    ],
)
async def test_a_call_with_a_client_that_does_not_connect_again_stays(query, limits):
    async with moving_calls(limits=limits) as calls:
        call_id = await active(calls)
        address = f"/call/{call_id}/stream?token=demo{query}"
        async with pcm_client(calls.client.http, address) as client:
            await until(lambda: client.sound)
            assert calls.movable() == []
        await until(lambda: calls.movable() == [call_id])


async def test_a_socket_that_is_opened_while_its_call_passes_is_to_be_opened_again():
    async with moving_calls() as calls:
        call_id = await active(calls)
        handover = calls.handovers[0]
        handover.suspend(CallId(call_id))
        async with pcm_client(calls.client.http, path(call_id)) as client:
            await until(lambda: client.code is not None)
            assert client.code == 1012
        handover.resume(CallId(call_id))


async def test_a_socket_that_nobody_takes_over_goes_on():
    async with moving_calls() as calls:
        call_id = await active(calls)
        async with pcm_client(calls.client.http, path(call_id)) as client:
            await until(lambda: client.sound)
            calls.suspend_and_resume(call_id)
            before = len(client.sound)
            await until(lambda: len(client.sound) > before + 10)
            assert client.code is None
