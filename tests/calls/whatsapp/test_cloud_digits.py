"""Digits through whole calls between a browser and a WhatsApp user."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.call.model import LegId
from tests.calls.whatsapp.test_cloud import World, is_state, world
from tests.support.clients.event_stream import listening
from tests.support.peers.bridge_peer import speech
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.virtual_time import monotonic
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import USER, DoubleCall

pytestmark = pytest.mark.call


@asynccontextmanager
async def talking(meta: World, browser, *, inbound: bool):
    """A call between the browser and the user, its sound up on both sides."""
    if inbound:
        user = await meta.graph.ring()
        call_id = (await meta.call())["callId"]
    else:
        call_id = await meta.client.dial(USER)
        user = meta.graph.last
    await join(meta, call_id, browser)
    if inbound:
        await meta.client.data("/call/answer", {"callId": call_id})
    else:
        await until_answer(lambda: is_state(meta, call_id, "ringing"))
        await meta.graph.pick_up(user)
    await until_answer(lambda: is_state(meta, call_id, "active"))
    await user.media.wait_heard(0.2)
    yield call_id, user


async def join(meta: World, call_id: str, browser) -> None:
    exchange = meta.client.exchange(call_id)
    await browser.call(exchange)
    [runner] = meta.client.bridge.manager.calls()
    await until(lambda: runner.machine.legs.records[LegId(exchange.leg_id)].connected)


def assert_sound(user: DoubleCall) -> None:
    """Sound and digits are one stream: one SSRC, each packet its own number, none missing."""
    packets = user.media.rtp_packets
    assert len(user.media.ssrcs) == 1
    numbers = [packet.sequence for packet in packets]
    first = numbers[0]
    assert numbers == [(first + step) & 0xFFFF for step in range(len(numbers))]


@pytest.mark.parametrize("inbound", [True, False])
async def test_digits_by_request_reach_the_user_while_a_stock_browser_talks(inbound):
    async with (
        world() as meta,
        StockPeer(tone(20, 440)) as browser,
        talking(meta, browser, inbound=inbound) as (call_id, user),
    ):
        await meta.client.data("/call/dtmf", {"callId": call_id, "digits": "12"})
        await meta.client.data("/call/dtmf", {"callId": call_id, "digits": "*#aD"})
        await until(lambda: user.media.digits == "12*#AD")
        before = len(user.media.heard)
        await until(lambda: len(user.media.heard) > before + 3200)
        assert_sound(user)


@pytest.mark.parametrize("clock", [8_000, 48_000])
async def test_keys_pressed_in_a_browser_reach_the_user_once_each(clock):
    async with (
        world() as meta,
        LightPeer() as browser,
        talking(meta, browser, inbound=True) as (_, user),
    ):
        for digit in "1179#":
            await browser.send_digit(digit, clock=clock)
        await browser.speak(speech())
        await until(lambda: user.media.digits == "1179#")
        assert_sound(user)


@pytest.mark.parametrize("inbound", [True, False])
async def test_keys_that_the_user_presses_are_told_once_each_and_cost_no_sound(inbound):
    async with (
        world(speech=tone(20, 880)) as meta,
        StockPeer(tone(20, 440)) as browser,
        talking(meta, browser, inbound=inbound) as (call_id, user),
        listening(meta.client, "/events") as stream,
    ):
        for digit in "0255*":
            await user.media.send_digit(digit)
        told = [await stream.until_type("digit.received") for _ in range(5)]
        assert "".join(event["data"]["digit"] for event in told) == "0255*"
        assert {event["callId"] for event in told} == {call_id}
        await asyncio.sleep(0.2)
        await meta.client.data("/call/hangup", {"callId": call_id})
        await stream.until_type("call.ended")
        kinds = [event["type"] for event in stream.heard]
        assert kinds.count("digit.received") == 5
        # Nobody sends them back.
        assert user.media.digits == ""


async def test_both_sides_press_keys_at_once():
    async with (
        world(speech=tone(20, 880)) as meta,
        LightPeer() as browser,
        talking(meta, browser, inbound=False) as (call_id, user),
        listening(meta.client, "/events") as stream,
    ):

        async def press(send, digits: str) -> None:
            for digit in digits:
                await send(digit)

        await asyncio.gather(press(browser.send_digit, "123"), press(user.media.send_digit, "987"))
        await until(lambda: user.media.digits == "123")
        heard: dict[str, str] = {}
        for _ in range(6):
            data = (await stream.until_type("digit.received"))["data"]
            heard[data["legID"]] = heard.get(data["legID"], "") + data["digit"]
        assert sorted(heard.values()) == ["123", "987"]
        assert await meta.client.state(call_id) == "active"
        assert_sound(user)


async def test_no_digit_leaves_before_the_call_is_accepted():
    async with world() as meta, LightPeer() as browser:
        user = await meta.graph.ring()
        call_id = (await meta.call())["callId"]
        await user.media.wait_connected()
        await join(meta, call_id, browser)
        await browser.send_digit("4")
        refused = await meta.client.post("/call/dtmf", {"callId": call_id, "digits": "4"})
        assert refused.status == 409
        await meta.client.data("/call/answer", {"callId": call_id})
        await user.media.wait_heard(0.2)
        await meta.client.data("/call/dtmf", {"callId": call_id, "digits": "5"})
        await until(lambda: user.media.digits == "5")


async def test_digits_asked_for_while_meta_takes_the_answer_do_not_leave_early():
    async with world() as meta:
        meta.graph.slow_seconds["accept"] = 0.2
        user = await meta.graph.ring()
        call_id = (await meta.call())["callId"]
        await user.media.wait_connected()
        asked = monotonic()
        await meta.client.data("/call/answer", {"callId": call_id})
        await meta.client.data("/call/dtmf", {"callId": call_id, "digits": "7"})
        await user.media.wait_heard(0.3)
        await meta.client.data("/call/dtmf", {"callId": call_id, "digits": "8"})
        await until(lambda: user.media.digits.endswith("8"))
        assert user.media.rtp_packets[0].time >= asked + 0.2
