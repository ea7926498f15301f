"""Whole calls while strangers, thieves and one of the parties do their worst to the media port."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest

from bridge.call.model import LegId
from bridge.legs import simulator
from tests.support.inprocess import running
from tests.support.packets.hostile_datagrams import DTLS, EVERYTHING, MEDIA, port_of
from tests.support.packets.rtp_party import rtp
from tests.support.peers.bridge_peer import Prober, Stranger, speech, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.sampling import sample_calls
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

ECHO, SILENT = "15550100001", "15550100008"

# Strangers send to the node that has the call, whichever is asked.
pytestmark = [pytest.mark.call, one_node_only]


async def connected(client, exchange):
    leg_id = LegId(exchange.leg_id)
    runners = client.bridge.manager.calls()
    [runner] = [one for one in runners if leg_id in one.machine.legs.records]
    await until(lambda: runner.machine.legs.records[leg_id].connected)


@asynccontextmanager
async def talking(phone=ECHO):
    """A call of one browser: the client, the browser, its offer and the answer."""
    async with running() as client, LightPeer() as browser:
        exchange = client.exchange(await client.dial(phone))
        offer = await browser.offer()
        answer = await exchange(offer)
        await browser.accept(answer)
        await connected(client, exchange)
        yield client, browser, offer, answer


async def discarded(client) -> dict[str, float]:
    """What the bridge has counted as of no consequence, by reason."""
    sample_calls(client.bridge.manager, 0.0)
    text = await (await client.get("/metrics")).text()
    counts = {}
    for line in text.splitlines():
        if line.startswith("bridge_datagrams_discarded_total{"):
            reason = line.partition('reason="')[2].partition('"')[0]
            counts[reason] = float(line.split()[-1])
    return {reason: count for reason, count in counts.items() if count}


def lines(caplog):
    """What an operator would see in the log."""
    return [
        record
        for record in caplog.records
        if record.levelno >= logging.WARNING or record.name.startswith("bridge")
    ]


@pytest.mark.parametrize("setup", ["actpass", "active"])
async def test_a_call_comes_up_while_strangers_spray_its_port(setup, caplog):
    async with running() as client, LightPeer() as browser:
        exchange = client.exchange(await client.dial(ECHO))
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        answer = await exchange(offer)
        with Stranger(port_of(answer)) as stranger, caplog.at_level(logging.INFO):
            caplog.clear()

            async def spray():
                while True:
                    stranger.spray([*DTLS.values(), *EVERYTHING.values()])
                    await asyncio.sleep(0.002)

            spraying = asyncio.create_task(spray())
            await browser.accept(answer)
            await connected(client, exchange)
            await talk(browser)
            spraying.cancel()
            assert stranger.received() == []
            assert len(lines(caplog)) <= 3
        counted = await discarded(client)
        assert {"unknown_source", "bad_stun", "empty", "oversized"} <= set(counted)


async def test_sound_that_three_strangers_inject_is_not_heard_and_none_goes_to_them(caplog):
    async with talking() as (client, browser, _, answer):
        at = port_of(answer)
        stolen = [
            browser.protect(
                rtp(speech()[number % 10], sequence=number, timestamp=960 * number, ssrc=0x4444)
            )
            for number in range(30)
        ]
        caplog.clear()

        async def inject(strangers):
            for number in range(30):
                strangers[0].spray([MEDIA["rtp"]])
                strangers[1].spray([rtp(speech()[number % 10], sequence=number, timestamp=0)])
                strangers[2].spray([stolen[number]])
                await asyncio.sleep(0.005)

        with Stranger(at) as one, Stranger(at) as two, Stranger(at) as three:
            strangers = (one, two, three)
            await asyncio.gather(inject(strangers), talk(browser))
            assert [stranger.received() for stranger in strangers] == [[], [], []]
        sequences = [one.sequence for one in browser.arrivals]
        assert sequences == list(range(sequences[0], sequences[0] + 10))
        assert (await discarded(client))["unknown_source"] == 90
        assert lines(caplog) == []


async def test_a_replay_is_not_heard(caplog):
    async with talking() as (client, browser, _, answer):
        sent = []
        caplog.clear()
        for number in range(40):
            packet = browser.protect(
                rtp(speech()[number % 10], sequence=number, timestamp=960 * number, ssrc=0x4444)
            )
            browser.send_datagram(packet)
            sent.append(packet)
            for old in sent[::7]:
                browser.send_datagram(old)
            await asyncio.sleep(0.005)
        await until(lambda: len(browser.arrivals) >= 40)
        with Stranger(port_of(answer)) as thief:
            thief.spray(sent)
            await asyncio.sleep(0.05)
            assert thief.received() == []
        stamps = [one.timestamp for one in browser.arrivals]
        assert [stamp - stamps[0] & 0xFFFF_FFFF for stamp in stamps] == [960 * n for n in range(40)]
        counted = await discarded(client)
        assert counted["replayed"] == sum(-(-number // 7) for number in range(1, 41))
        assert counted["unknown_source"] == 40
        assert lines(caplog) == []


async def test_checks_without_the_right_password_move_no_sound():
    async with talking() as (client, browser, offer, answer):
        prober = await Prober.open(browser, offer, answer)
        for _ in range(20):
            prober.check(nominate=True, password="guess" * 5)
        await talk(browser)
        assert (prober.responses, prober.requests, prober.media) == ([], [], [])
        assert (await discarded(client))["bad_stun"] == 20


async def test_a_flood_at_one_call_leaves_another_alone(caplog):
    async with running() as client, LightPeer() as victim, LightPeer() as other:
        for browser in (victim, other):
            exchange = client.exchange(await client.dial(ECHO))
            await browser.call(exchange)
            await connected(client, exchange)
        caplog.clear()
        with Stranger(victim.remote_addresses[0]) as stranger:

            async def flood():
                while True:
                    stranger.spray([b"\x80\x6f" + bytes(1000), b"\x16\xfe\xfd" + bytes(500)])
                    await asyncio.sleep(0.001)

            flooding = asyncio.create_task(flood())
            await asyncio.gather(talk(victim, 25), talk(other, 25))
            flooding.cancel()
        for browser in (victim, other):
            stamps = [one.timestamp for one in browser.arrivals]
            assert len(stamps) == 25
            assert stamps == sorted(stamps)
        assert (await discarded(client))["unknown_source"] > 200
        assert lines(caplog) == []


def press(browser, number):
    """One packet of another digit, as if keys were pressed with every packet."""
    event = bytes([number % 10, 0x80, 0x00, 0xA0])
    browser.send_rtp(
        rtp(event, sequence=number, timestamp=9600 * number, ssrc=0x4444, kind=browser.EVENT_48000)
    )


async def test_keys_pressed_without_end_fill_neither_the_log_nor_a_contact(caplog, monkeypatch):
    monkeypatch.setattr(simulator, "MAX_DIGITS", 50)
    async with talking(SILENT) as (client, browser, _, _answer):
        caplog.clear()
        for number in range(200):
            press(browser, number)
            await asyncio.sleep(0)
        [runner] = client.bridge.manager.calls()
        [contact] = [leg for leg in runner.legs() if leg.kind == "simulator"]
        await until(lambda: contact.digits.endswith("789") and len(contact.digits) == 50)
        assert lines(caplog) == []


async def test_keys_pressed_without_end_at_a_far_browser_are_told_once(caplog):
    async with running() as client, LightPeer() as near, LightPeer() as far:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        for browser, party in ((near, {}), (far, {"party": "far"})):
            exchange = client.exchange(call_id, **party)
            await browser.call(exchange)
            await connected(client, exchange)
        caplog.clear()
        for number in range(300):
            press(near, number)
            await asyncio.sleep(0)
        await until(lambda: [one for one in far.arrivals if one.payload_type == far.EVENT_48000])
        await until(lambda: lines(caplog))
        await asyncio.sleep(0.05)
        assert [one.getMessage() for one in lines(caplog)] == ["leg.digits_dropped"]
