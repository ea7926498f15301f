"""Whole calls over bad networks, and over networks and pages that change while sound goes on."""

import asyncio
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest

from bridge.audio.codec.opus import Application, Encoder, EncoderSettings
from bridge.call.model import LegId
from bridge.rtc.config import Timeouts
from tests.support.inprocess import running
from tests.support.packets.impairment import Impairment, impaired_path, without_candidates
from tests.support.peers.bridge_peer import RoamingPeer, opus, value
from tests.support.peers.light_peer import LightPeer
from tests.support.sound.speech_compare import tone
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

ECHO = "15550100001"
SECOND = 50

# The network is between a browser and the node that has the call.
pytestmark = [pytest.mark.call, one_node_only]


@cache
def voice(packets: int = 2 * SECOND) -> tuple[bytes, ...]:
    """Opus packets that carry FEC, as a browser's do once it hears of loss."""
    encoder = Encoder(
        opus(), EncoderSettings(Application.VOIP, 32_000, 5, fec=True, expected_loss=20)
    )
    pcm = tone(packets / SECOND).tobytes()
    return tuple(encoder.encode(pcm[640 * n : 640 * (n + 1)]) for n in range(packets))


class Conversation:
    """A browser that talks to the echo through a bad network."""

    def __init__(self, client, call_id, browser, proxy) -> None:
        self.client, self.call_id = client, call_id
        self.browser, self.proxy = browser, proxy

    async def received(self):
        """What the bridge received of the browser."""
        legs = (await self.client.quality(self.call_id))["legs"]
        [near] = [leg for leg in legs if leg["kind"] == "webrtc"]
        return near["received"]

    def echoes(self) -> list[int]:
        """Timestamps of what came back, in packets since the first."""
        first = self.browser.arrivals[0].timestamp
        return [((one.timestamp - first) & 0xFFFF_FFFF) // 960 for one in self.browser.arrivals]


@asynccontextmanager
async def conversation(*, up: Impairment | None = None, down: Impairment | None = None):
    async with running() as client, LightPeer() as browser:
        call_id = await client.dial(ECHO)
        exchange = client.exchange(call_id)
        answer = await exchange(without_candidates(await browser.offer()))
        async with impaired_path(answer, up=up, down=down) as (proxy, sdp):
            await browser.accept(sdp)
            [runner] = client.bridge.manager.calls()
            await until(lambda: runner.machine.legs.records[LegId(exchange.leg_id)].connected)
            yield Conversation(client, call_id, browser, proxy)
            await browser.close()


# What a network does to packets


async def test_with_five_per_cent_loss_fifty_frames_a_second_keep_coming():
    async with conversation(up=Impairment(seed=28, loss=0.05)) as talk:
        await talk.browser.speak(voice())
        await until(lambda: talk.echoes()[-1] >= 2 * SECOND - 3)
        heard = await talk.received()
        lost = talk.proxy.schedules["up"].lost
        assert lost > 3
        # Whatever was lost was made up: there is an echo for every moment but the last.
        assert talk.echoes() == list(range(len(talk.echoes())))
        assert heard["concealedFrames"] + heard["fecFrames"] >= lost - 2
        assert heard["fecFrames"] > 0
        assert abs(heard["lost"] - lost) <= 2


async def test_loss_on_the_way_back_is_told_by_the_browsers_report_alone():
    async with conversation(down=Impairment(seed=6, loss=0.2)) as talk:
        await talk.browser.speak(voice()[:SECOND])
        await until(lambda: talk.echoes()[-1] >= SECOND - 3)
        heard = await talk.received()
        assert (heard["lost"], heard["concealedFrames"]) == (0, 0)
        assert talk.proxy.schedules["down"].lost > 3


async def test_a_short_burst_of_losses_is_filled():
    lost = frozenset(range(20, 23))
    async with conversation(up=Impairment(lost=lost)) as talk:
        await talk.browser.speak(voice()[:SECOND])
        await until(lambda: len(talk.echoes()) >= SECOND)
        heard = await talk.received()
        assert talk.echoes() == list(range(SECOND))
        assert heard["concealedFrames"] + heard["fecFrames"] == len(lost)
        assert heard["lost"] == len(lost)


async def test_after_a_long_loss_sound_goes_on_in_its_place():
    lost = frozenset(range(20, 35))
    async with conversation(up=Impairment(lost=lost)) as talk:
        await talk.browser.speak(voice()[:SECOND])
        await until(lambda: talk.echoes()[-1] == SECOND - 1)
        assert set(range(SECOND)) - lost <= set(talk.echoes())
        assert (await talk.received())["lost"] == len(lost)


async def test_packets_out_of_order_are_put_in_order():
    async with conversation(up=Impairment(seed=7, reorder=0.1, reorder_delay=0.025)) as talk:
        await talk.browser.speak(voice()[: 2 * SECOND])
        await until(lambda: talk.echoes()[-1] >= 2 * SECOND - 3)
        heard = await talk.received()
        assert talk.proxy.schedules["up"].held_back > 3
        assert heard["reordered"] > 0
        assert talk.echoes() == list(range(len(talk.echoes())))


async def test_packets_that_come_twice_are_heard_once():
    async with conversation(up=Impairment(seed=8, duplicate=0.3)) as talk:
        await talk.browser.speak(voice()[:SECOND])
        await until(lambda: len(talk.echoes()) >= SECOND)
        await asyncio.sleep(0.05)
        assert talk.proxy.schedules["up"].duplicated > 3
        assert talk.echoes() == list(range(SECOND))
        assert (await talk.received())["packets"] == SECOND


async def test_jitter_costs_no_frame():
    async with conversation(up=Impairment(seed=9, jitter=0.03)) as talk:
        await talk.browser.speak(voice()[: 2 * SECOND])
        await until(lambda: len(talk.echoes()) >= 2 * SECOND)
        heard = await talk.received()
        assert talk.echoes() == list(range(2 * SECOND))
        assert (heard["lost"], heard["concealedFrames"]) == (0, 0)
        assert heard["jitterMs"] > 2


@pytest.mark.real_time
async def test_everything_at_once_ends_nothing():
    bad: dict[str, Any] = {
        "loss": 0.1,
        "burst": 0.01,
        "jitter": 0.03,
        "reorder": 0.05,
        "duplicate": 0.05,
    }
    both = {"up": Impairment(seed=10, **bad), "down": Impairment(seed=11, **bad)}
    async with conversation(**both) as talk:
        await talk.browser.speak(voice())
        await until(lambda: talk.echoes()[-1] >= 2 * SECOND - 10)
        assert await talk.client.state(talk.call_id) == "active"
        assert talk.browser.unreadable <= talk.proxy.schedules["down"].duplicated


async def test_a_network_that_goes_away_for_a_second_and_comes_back_goes_on():
    async with conversation() as talk:
        await talk.browser.speak(voice()[:20])
        talk.proxy.silence()
        await talk.browser.speak(voice()[20:70])
        talk.proxy.restore()
        before = len(talk.echoes())
        await talk.browser.speak(voice()[70:100])
        await until(lambda: len(talk.echoes()) >= before + 30)
        sequences = [one.sequence for one in talk.browser.arrivals]
        assert len(set(sequences)) == len(sequences)


async def test_a_nat_that_changes_the_browsers_port_changes_nothing_else():
    async with conversation() as talk:
        await talk.browser.speak(voice()[:20])
        await until(lambda: len(talk.echoes()) >= 20)
        old = talk.proxy.outside_address
        assert await talk.proxy.rebind() != old
        link = talk.browser._gatherer.link
        pair = link._nominated[1]
        # A browser's next consent check shows the bridge where it is now.
        request = link.build_request(pair, nominate=True)
        await pair.protocol.request(request, pair.remote_addr, link.remote_password.encode())
        before = len(talk.echoes())
        await talk.browser.speak(voice()[20:50])
        await until(lambda: len(talk.echoes()) >= before + 30)
        assert len({one.ssrc for one in talk.browser.arrivals}) == 1


# Further offers, with sound going on


@asynccontextmanager
async def roaming():
    async with running(timeouts=Timeouts(linger=0.0)) as client, RoamingPeer() as browser:
        exchange = client.exchange(await client.dial(ECHO))
        await browser.call(exchange)
        [runner] = client.bridge.manager.calls()
        await until(lambda: runner.machine.legs.records[LegId(exchange.leg_id)].connected)
        yield client, browser, exchange


async def say(browser: LightPeer, packets: int = 20) -> None:
    """Say something and wait for the echo of all of it."""
    before = len(browser.arrivals)
    await browser.speak(voice()[:packets])
    await until(lambda: len(browser.arrivals) >= before + packets)


async def test_an_ice_restart_keeps_everything_but_the_path():
    async with roaming() as (client, browser, exchange):
        await say(browser)
        leg_id, first = exchange.leg_id, browser.answer_sdp
        browser.leave()
        await browser.restart(exchange)
        await say(browser)
        assert exchange.leg_id == leg_id
        for name in ("setup", "fingerprint", "ssrc", "mid", "rtpmap"):
            assert value(first, name) == value(browser.answer_sdp, name)
        for name in ("ice-ufrag", "ice-pwd", "candidate"):
            assert value(first, name) != value(browser.answer_sdp, name)
        sequences = [one.sequence for one in browser.arrivals]
        assert sequences == list(range(sequences[0], sequences[0] + 40))
        stamps = [one.timestamp for one in browser.arrivals]
        assert stamps == sorted(stamps)
        assert len({one.ssrc for one in browser.arrivals}) == 1
        assert browser.unreadable == 0
        await until(lambda: client.ports.used == 1)
        text = await (await client.get("/metrics")).text()
        series = [
            line for line in text.splitlines() if line.startswith("bridge_ice_restarts_total{")
        ]
        counted = {line for line in series if line.endswith(" 1.0")}
        assert len(counted) == 2
        assert {line for line in counted if '"started"' in line or '"succeeded"' in line} == counted


async def test_sound_goes_on_during_an_ice_restart():
    async with roaming() as (_client, browser, exchange):
        talking = asyncio.create_task(browser.speak(voice()[:60]))
        await until(lambda: len(browser.arrivals) >= 10)
        await browser.restart(exchange)
        await talking
        await until(lambda: len(browser.arrivals) >= 60)
        sequences = [one.sequence for one in browser.arrivals]
        assert sorted(sequences) == list(range(min(sequences), min(sequences) + 60))


async def test_a_reloaded_page_keeps_its_leg_and_gets_a_stream_of_its_own():
    async with roaming() as (client, page, exchange), LightPeer(ssrc=0x9999) as reloaded:
        await say(page)
        leg_id = exchange.leg_id
        await reloaded.call(exchange)
        await page.wait_closed()
        await say(reloaded)
        assert exchange.leg_id == leg_id
        assert value(page.answer_sdp, "ssrc") != value(reloaded.answer_sdp, "ssrc")
        assert {one.ssrc for one in page.arrivals}.isdisjoint(one.ssrc for one in reloaded.arrivals)
        [call] = await client.calls()
        legs = (await client.quality(call["callId"]))["legs"]
        [near] = [leg for leg in legs if leg["kind"] == "webrtc"]
        assert near["legID"] == leg_id
        assert near["received"]["packets"] == 40
        await until(lambda: client.ports.used == 1)


async def test_a_page_may_stop_and_begin_to_listen_on_the_same_transport():
    async with roaming() as (client, browser, exchange):
        await say(browser)
        first, offer = browser.answer_sdp, await browser.offer()
        held = await exchange(offer.replace("a=sendrecv", "a=sendonly"))
        assert "a=recvonly" in held
        before = len(browser.arrivals)
        await browser.speak(voice()[:20])
        assert len(browser.arrivals) == before
        resumed = await exchange(offer)
        assert "a=sendrecv" in resumed
        await say(browser)
        for answer in (held, resumed):
            for name in ("ice-ufrag", "ice-pwd", "candidate", "fingerprint", "setup"):
                assert value(first, name) == value(answer, name)
        assert value(first, "ssrc") == value(resumed, "ssrc")
        sequences = [one.sequence for one in browser.arrivals]
        assert sequences == list(range(sequences[0], sequences[0] + 40))
        assert client.ports.used == 1


async def test_a_page_that_only_listens_is_not_heard_until_it_speaks_again():
    async with roaming() as (_client, browser, exchange):
        offer = await browser.offer()
        assert "a=sendonly" in await exchange(offer.replace("a=sendrecv", "a=recvonly"))
        await browser.speak(voice()[:10])
        assert browser.arrivals == []
        await exchange(offer)
        await say(browser)


async def test_two_phones_that_move_at_once_both_go_on():
    async with roaming() as (client, one, exchange), RoamingPeer() as two:
        [runner] = client.bridge.manager.calls()
        other = client.exchange(runner.facts.call_id)
        await two.call(other)
        one.leave()
        two.leave()
        await asyncio.gather(one.restart(exchange), two.restart(other))
        await asyncio.gather(one.speak(voice()[:30]), two.speak(voice()[:30]))
        await until(lambda: len(one.arrivals) >= 25 and len(two.arrivals) >= 25)
