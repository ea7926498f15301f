"""Digits through whole calls: from browsers, to browsers, and by request."""

import asyncio
from contextlib import asynccontextmanager
from struct import unpack

import pytest

from bridge.call.model import LegId
from tests.support.inprocess import running
from tests.support.peers.bridge_peer import speech
from tests.support.peers.light_peer import DIGITS, LightPeer
from tests.support.waiting import until, until_answer

ECHO, SILENT = "15550100001", "15550100008"

pytestmark = pytest.mark.call


@asynccontextmanager
async def joined(client, call_id, **more):
    """A browser on the call, its media up."""
    async with LightPeer() as browser:
        exchange = client.exchange(call_id, **more)
        await browser.call(exchange)
        [runner] = client.bridge.manager.calls()
        await until(lambda: runner.machine.legs.records[LegId(exchange.leg_id)].connected)
        yield browser


def contact(client):
    [runner] = client.bridge.manager.calls()
    [leg] = [leg for leg in runner.legs() if leg.kind == "simulator"]
    return leg


def events(browser):
    """The telephone-events that a browser got: (digit, timestamp, end, duration, packet)."""
    found = []
    for packet in browser.arrivals:
        if packet.payload_type in (browser.EVENT_48000, browser.EVENT_8000):
            event, flags, duration = unpack("!BBH", packet.payload)
            found.append((DIGITS[event], packet.timestamp, bool(flags & 0x80), duration, packet))
    return found


def pressed(browser) -> str:
    """The digits that a browser got: one for each timestamp whose event has ended."""
    ended = dict.fromkeys((stamp, digit) for digit, stamp, end, _, _ in events(browser) if end)
    return "".join(digit for _, digit in ended)


@pytest.mark.parametrize("clock", [8_000, 48_000])
async def test_digits_of_a_browser_reach_the_contact_once_each(clock):
    async with running() as client, joined(client, await client.dial(SILENT)) as browser:
        for digit in "15#":
            await browser.send_digit(digit, clock=clock)
        await until(lambda: contact(client).digits == "15#")


async def test_a_digit_between_words_costs_no_sound():
    async with running() as client, joined(client, await client.dial(ECHO)) as browser:
        await browser.speak(speech())
        await browser.send_digit("7")
        await browser.speak(speech())
        await until(lambda: len(browser.arrivals) >= 20)
        assert contact(client).digits == "7"
        [call] = await client.calls()
        legs = (await client.quality(call["callId"]))["legs"]
        [near] = [leg for leg in legs if leg["kind"] == "webrtc"]
        assert (near["received"]["lost"], near["received"]["concealedFrames"]) == (0, 0)


async def test_digits_by_request_reach_the_contact():
    async with running() as client:
        call_id = await client.dial(SILENT)

        async def active():
            return await client.state(call_id) == "active"

        await until_answer(active)
        for digits in ("12", "*#aD"):
            await client.data("/call/dtmf", {"callId": call_id, "digits": digits})
        assert contact(client).digits == "12*#AD"


async def test_digits_by_request_reach_a_far_browser_as_telephone_events():
    async with running() as client:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with joined(client, call_id, party="far") as far:
            await client.data("/call/dtmf", {"callId": call_id, "digits": "9#D"})
            await until(lambda: pressed(far) == "9#D")
            await until(lambda: len([end for _, _, end, _, _ in events(far) if end]) == 9)
            for digit in "9#D":
                mine = [event for event in events(far) if event[0] == digit]
                # RFC 4733: one timestamp, a duration that grows, three packets with the end.
                assert len({stamp for _, stamp, _, _, _ in mine}) == 1
                assert [end for _, _, end, _, _ in mine][-3:] == [True] * 3
                assert next(packet.marker for *_, packet in mine)
                durations = [duration for *_, duration, _ in mine]
                assert durations == sorted(durations)
                assert durations[-1] == durations[-2] == durations[-3] >= 4 * 960
            sequences = [packet.sequence for packet in far.arrivals]
            assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


@pytest.mark.parametrize("clock", [8_000, 48_000])
async def test_digits_of_a_browser_reach_a_far_browser(clock):
    async with running() as client:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with (
            joined(client, call_id) as near,
            joined(client, call_id, party="far") as far,
        ):
            await near.speak(speech())
            await near.send_digit("3", clock=clock)
            await near.send_digit("3", clock=clock)
            await near.speak(speech())
            await until(lambda: pressed(far) == "33")
            assert pressed(near) == ""


async def test_digits_of_the_far_browser_go_to_nobody():
    async with running() as client:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with (
            joined(client, call_id) as near,
            joined(client, call_id, party="far") as far,
        ):
            await far.send_digit("5")
            await far.speak(speech())
            await until(lambda: near.arrivals)
            await asyncio.sleep(0.1)
            assert events(near) == []
            assert events(far) == []


async def test_digits_wait_for_nobody_before_the_far_browser_has_come():
    async with running() as client:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with joined(client, call_id) as near:
            await near.send_digit("4")
            refused = await client.post("/call/dtmf", {"callId": call_id, "digits": "4"})
            assert refused.status == 409
            async with joined(client, call_id, party="far") as far:
                await near.speak(speech())
                await until(lambda: far.arrivals)
                assert events(far) == []


async def test_sound_goes_on_after_the_digits():
    async with running() as client:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with (
            joined(client, call_id) as near,
            joined(client, call_id, party="far") as far,
        ):
            talking = asyncio.create_task(near.speak(speech() * 5))
            await until(lambda: far.arrivals)
            await client.data("/call/dtmf", {"callId": call_id, "digits": "12"})
            await talking
            await until(lambda: pressed(far) == "12")
            await near.speak(speech())
            await until(lambda: far.arrivals[-1].payload_type == far.OPUS)
            stamps = [p.timestamp for p in far.arrivals if p.payload_type == far.OPUS]
            assert stamps == sorted(set(stamps))
            assert far.unreadable == 0
