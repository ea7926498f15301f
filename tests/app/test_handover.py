"""Calls of browsers pass from one bridge to another of the same machine while they talk."""

import numpy as np
import pytest

from bridge.call.model import CallId, State
from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.inprocess import KEY
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

ECHO, TALKS, HANGS_UP, REPEATS = (f"1555010000{n}" for n in (1, 2, 7, 9))
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


def loudness(page: StockPeer, samples: int = 0) -> float:
    """How loud the page has heard something after so many samples."""
    return float(np.abs(page.heard()[samples:].astype(float)).max(initial=0.0))


async def heard_anew(page: StockPeer) -> None:
    """Wait until a page hears what comes from now on."""
    before = len(page.heard())
    await until(lambda: len(page.heard()) > before + 8000, timeout=10.0)
    assert loudness(page, before + 4000) > 1000


async def talking(calls: MovingCalls, page: StockPeer, contact: str = ECHO, **more: str) -> str:
    """Return a call in which a page hears its contact."""
    call_id = await calls.client.dial(contact)
    await page.call(calls.client.exchange(call_id, **more))
    await until(lambda: loudness(page) > 1000, timeout=10.0)
    return call_id


@pytest.mark.parametrize("contact", [ECHO, TALKS, REPEATS])
async def test_a_browser_talks_on_wherever_its_call_is(contact):
    said = np.concatenate([TONE, np.zeros(16_000, np.int16)]) if contact == REPEATS else TONE
    async with moving_calls() as calls, StockPeer(said, repeat=True) as page:
        call_id = await talking(calls, page, contact)
        told = calls.events
        for _ in range(3):
            assert calls.movable() == [call_id]
            await calls.move(call_id)
            before = len(page.heard())
            await until(lambda: loudness(page, before) > 1000, timeout=10.0)  # noqa: B023
        assert page.connection.connectionState == "connected"
        assert calls.events == told
        assert await calls.client.state(call_id) == "active"


async def test_a_page_that_is_closed_after_the_move_ends_its_leg_there():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await talking(calls, page)
        await calls.move(call_id)
        await heard_anew(page)
        await page.close()
        await until(lambda: (1, "leg.left") in calls.told, timeout=10.0)
        assert (0, "leg.left") not in calls.told


async def test_a_hang_up_after_the_move_ends_the_call_once_and_the_pages_connection():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await talking(calls, page)
        await calls.move(call_id)
        await heard_anew(page)
        response = await calls.client.post("/call/hangup", {"callId": call_id}, headers=KEY)
        assert response.status == 200
        await page.wait_ended()
        assert calls.events.count("call.ended") == 1


async def test_a_contact_in_a_hurry_hangs_up_in_its_time():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await calls.client.dial(HANGS_UP)
        await page.call(calls.client.exchange(call_id))
        await until(lambda: calls.runner(call_id).machine.state is State.ACTIVE)
        await until(lambda: calls.movable() == [call_id])
        await calls.move(call_id)
        await page.wait_ended()
        assert (await calls.client.quality(call_id))["endReason"] == "remote_hangup"
        assert 2.5 < (await calls.client.quality(call_id))["seconds"] < 4.0


async def test_hold_mute_and_figures_are_as_before():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await talking(calls, page)
        runner = calls.runner(call_id)
        await calls.client.data("/call/mute", {"callId": call_id, "muted": True})
        await calls.client.data("/call/hold", {"callId": call_id})
        await until(lambda: runner.figures()[1].statistics.received.packets > 100)
        before = runner.record()
        await calls.move(call_id)
        after = calls.runner(call_id).record()
        assert (after.state, after.muted) == (State.HELD, True)
        for old, new in zip(before.legs, after.legs, strict=True):
            assert (old.leg_id, old.kind, old.joined) == (new.leg_id, new.kind, new.joined)
            assert new.statistics.received.packets >= old.statistics.received.packets
            assert new.statistics.sent.packets >= old.statistics.sent.packets
            assert new.statistics.setup == old.statistics.setup
        await calls.client.data("/call/unhold", {"callId": call_id})
        await calls.client.data("/call/mute", {"callId": call_id, "muted": False})
        await heard_anew(page)


async def test_two_browsers_hear_each_other_in_the_other_process():
    async with (
        moving_calls() as calls,
        StockPeer(TONE, repeat=True) as near,
        StockPeer(TONE, repeat=True) as far,
    ):
        opened = await calls.client.data("/call/dial", {"channel": "webrtc"})
        call_id = opened["callId"]
        await far.call(calls.client.exchange(call_id, party="far"))
        await near.call(calls.client.exchange(call_id))
        await heard_anew(near)
        await calls.move(call_id)
        await heard_anew(near)
        await heard_anew(far)
        assert calls.runner(call_id).bus.path(near_of(calls, call_id)) == "relay"


def near_of(calls: MovingCalls, call_id: str):
    [near] = calls.runner(call_id).machine.legs.near()
    return near.leg_id


async def test_a_call_that_nobody_takes_goes_on_with_sound():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await talking(calls, page)
        for _ in range(3):
            calls.suspend_and_resume(call_id)
            await heard_anew(page)
        assert page.connection.connectionState == "connected"


async def test_a_page_negotiates_with_the_process_that_has_its_leg():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await calls.client.dial(ECHO)
        exchange = calls.client.exchange(call_id)
        await page.call(exchange)
        await until(lambda: loudness(page) > 1000, timeout=10.0)
        await calls.move(call_id)
        again = calls.client.exchange(call_id, legID=exchange.leg_id)
        await page.call(again)
        assert again.leg_id == exchange.leg_id
        await heard_anew(page)


async def test_a_page_that_negotiates_while_its_call_passes_is_to_try_again():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await calls.client.dial(ECHO)
        exchange = calls.client.exchange(call_id)
        await page.call(exchange)
        await until(lambda: calls.movable() == [call_id], timeout=10.0)
        calls.handovers[0].suspend(CallId(call_id))
        body = {"callID": call_id, "type": "offer", "sdp": "v=0", "legID": exchange.leg_id}
        answer = await calls.client.post("/call/webrtc/offer", body)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        calls.handovers[0].resume(CallId(call_id))


async def test_a_page_that_is_reloaded_after_the_move_returns_to_its_leg():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as reloaded:
        async with StockPeer(TONE, repeat=True) as page:
            call_id = await calls.client.dial(ECHO)
            exchange = calls.client.exchange(call_id)
            await page.call(exchange)
            await until(lambda: loudness(page) > 1000, timeout=10.0)
            body = {"callID": call_id, "legID": exchange.leg_id}
            await calls.client.post("/call/webrtc/close", body, headers=KEY)
            await until(lambda: calls.movable() == [call_id])
        await calls.move(call_id)
        again = calls.client.exchange(call_id, legID=exchange.leg_id)
        await reloaded.call(again)
        assert again.leg_id == exchange.leg_id
        await heard_anew(reloaded)


async def test_a_call_of_several_parties_goes_on_and_each_can_be_held_or_removed():
    async with moving_calls() as calls, StockPeer(TONE, repeat=True) as page:
        call_id = await talking(calls, page, TALKS)
        body = {"callId": call_id, "phone": ECHO}
        joined = await calls.client.data("/call/participants/add", body)
        runner = calls.runner(call_id)
        await until(
            lambda: len([leg for leg in runner.machine.legs.far_parties() if leg.talks]) == 2
        )
        held = {"callId": call_id, "legID": joined["legID"]}
        await calls.client.data("/call/hold", held)
        await calls.move(call_id)
        moved = calls.runner(call_id)
        assert moved.machine.legs.records == runner.machine.legs.records
        await calls.client.data("/call/unhold", held)
        await heard_anew(page)
        await calls.client.data("/call/participants/remove", held)
        assert len(moved.legs()) == 2
        assert moved.live
