"""Faults between a browser and the bridge, over real sockets: each is named within five seconds."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest
from aiortc.sdp import SessionDescription

from bridge.settings.model import Turn
from tests.support.diagnosed import GOOD_SECONDS, Diagnosed
from tests.support.inprocess import Client, running, settings
from tests.support.packets.impairment import (
    Impairment,
    ImpairmentProxy,
    impaired_path,
    without_candidates,
)
from tests.support.peers.bridge_peer import speech, value
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import HttpExchange
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.two_nodes import one_node_only

ECHO = "15550100001"
PUBLIC = "a=candidate:1 1 udp 2122260223 8.8.8.8 40000 typ host\r\n"
"""Nobody sends there: candidates are probed once a check has come."""
NOTHING = Impairment()

# The faults are between a browser and the node that has the call.
pytestmark = [pytest.mark.call, one_node_only]


@dataclass
class Fault:
    """A browser's call to the echo, in which something is about to go wrong."""

    client: Client
    browser: Any
    exchange: HttpExchange
    call: Diagnosed
    proxy: ImpairmentProxy | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    def begin(self, work: Any) -> asyncio.Task[Any]:
        """Do something until the end of the test."""
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    def talk(self) -> asyncio.Task[Any]:
        """Let the browser speak from now on."""
        return self.begin(self.browser.speak(cycle(speech(50))))

    async def until_fine(self) -> None:
        """Let the call be good for some seconds."""
        await asyncio.sleep(3)
        await self.call.fine()


@asynccontextmanager
async def browser_call(browser: Any = None, **chosen: Any):
    async with running(settings(**chosen)) as client, browser or LightPeer() as peer:
        call_id = await client.dial(ECHO)
        fault = Fault(client, peer, client.exchange(call_id), Diagnosed(client, call_id))
        try:
            yield fault
        finally:
            for task in fault.tasks:
                task.cancel()
            await asyncio.gather(*fault.tasks, return_exceptions=True)


@asynccontextmanager
async def through_proxy(browser: Any = None):
    """A call whose packets pass a proxy; the browser has yet to take the answer it yields."""
    async with browser_call(browser) as fault:
        answer = await fault.exchange(without_candidates(await fault.browser.offer()))
        async with impaired_path(answer) as (fault.proxy, sdp):
            yield fault, sdp
            for task in fault.tasks:
                task.cancel()
            with suppress(ConnectionError):
                await fault.browser.close()


@asynccontextmanager
async def talking(browser: Any = None):
    """A good call through a proxy."""
    async with through_proxy(browser) as (fault, sdp):
        await fault.browser.accept(sdp)
        if isinstance(fault.browser, StockPeer):
            await fault.browser.wait_connected()
        else:
            fault.talk()
        await fault.until_fine()
        yield fault


async def test_a_good_call_raises_nothing():
    async with talking(StockPeer(tone(5, 440), repeat=True)) as fault:
        await asyncio.sleep(GOOD_SECONDS)
        found = await fault.call.ask()
        assert (found["verdict"], found["problems"]) == ("ok", [])


# Set-up


async def test_a_browser_whose_checks_do_not_arrive():
    async with browser_call() as fault:
        await fault.exchange(await fault.browser.offer() + PUBLIC)
        problem = await fault.call.becomes("ice_no_checks")
        assert (problem["hop"], problem["severity"]) == ("browser.network", "broken")
        assert problem["legID"] == fault.exchange.leg_id
        assert problem["evidence"]["setup"].keys() == {"offer", "answer"}


async def test_a_browser_with_private_addresses_only_needs_turn():
    async with browser_call() as fault:
        await fault.exchange(await fault.browser.offer())
        assert "turn.urls" in (await fault.call.becomes("turn_missing"))["fix"]


async def test_a_turn_server_that_refuses_the_browser():
    turn = Turn(mode="static", urls=["turn:127.0.0.1:9"], username="a", credential="b")
    async with browser_call(turn=turn) as fault:
        await fault.exchange(await fault.browser.offer())
        report = {"legID": fault.exchange.leg_id, "turnError": 401}
        response = await fault.client.post(f"/call/{fault.call.call_id}/report", report)
        assert response.status == 200
        assert "401" in (await fault.call.becomes("turn_refused"))["summary"]


async def test_checks_that_are_answered_and_whose_answers_are_lost():
    async with through_proxy() as (fault, sdp):
        fault.proxy.silence("down")
        fault.begin(fault.browser.accept(sdp, timeout=60))
        problem = await fault.call.becomes("ice_one_way")
        assert problem["evidence"]["checks"] > 0
        fault.proxy.restore()
        await fault.call.clears("ice_one_way")


async def test_a_browser_that_does_not_answer_the_handshake():
    async with through_proxy() as (fault, sdp):
        media = SessionDescription.parse(sdp).media[0]
        browser = fault.browser
        await browser._ice.addRemoteCandidate(media.ice_candidates[0])
        await browser._ice.addRemoteCandidate(None)
        await browser._ice.start(media.ice)
        problem = await fault.call.becomes("dtls_no_answer")
        assert "ice" in problem["evidence"]["setup"]
        browser.dtls._set_role("server")
        fault.begin(browser.dtls.start(media.dtls))
        await fault.call.clears("dtls_no_answer")


async def test_a_certificate_that_is_not_the_one_of_the_offer():
    async with browser_call() as fault:
        offer = await fault.browser.offer()
        theirs = value(offer, "fingerprint")
        other = theirs[:-2] + ("00" if theirs[-2:] != "00" else "11")
        answer = await fault.exchange(offer.replace(theirs, other))
        fault.begin(fault.browser.accept(answer))
        await fault.call.becomes("dtls_fingerprint")


# Media


async def test_packets_with_the_keys_of_another_connection():
    async with through_proxy() as (fault, sdp):
        await fault.browser.accept(sdp)
        foreign = fault.begin(send_undecryptable(fault.browser))
        await fault.call.becomes("srtp_rejected")
        foreign.cancel()
        fault.talk()
        await fault.call.clears("srtp_rejected")


async def send_undecryptable(browser: LightPeer) -> None:
    while True:
        packet = bytearray(browser.protect(browser.header(browser.OPUS, 0, marker=False) + b"x"))
        packet[-1] ^= 0xFF
        browser.send_datagram(bytes(packet))
        browser.skip()
        await asyncio.sleep(0.02)


async def test_packets_of_a_payload_type_that_was_not_negotiated():
    async with through_proxy() as (fault, sdp):
        await fault.browser.accept(sdp)
        wrong = fault.begin(send_pcmu(fault.browser))
        await fault.call.becomes("codec_mismatch")
        wrong.cancel()
        fault.talk()
        await fault.call.clears("codec_mismatch")


async def send_pcmu(browser: LightPeer) -> None:
    while True:
        browser.send(bytes(160), samples=160, payload_type=0)
        await asyncio.sleep(0.02)


async def test_a_browser_that_is_connected_and_sends_nothing():
    async with through_proxy() as (fault, sdp):
        await fault.browser.accept(sdp)
        problem = await fault.call.becomes("browser_sends_nothing")
        assert {"ice", "dtls"} <= problem["evidence"]["setup"].keys()
        fault.talk()
        await fault.call.clears("browser_sends_nothing")


async def test_a_browser_that_only_listens_need_not_send():
    async with browser_call(LightPeer(direction="recvonly")) as fault:
        await fault.browser.call(fault.exchange)
        await asyncio.sleep(8)
        await fault.call.fine()


async def test_a_network_that_goes_away():
    async with talking() as fault:
        fault.proxy.silence()
        await fault.call.becomes("network_stalled")
        fault.proxy.restore()
        await fault.call.clears("network_stalled")


async def test_loss_on_the_way_here():
    async with talking() as fault:
        fault.proxy.impair("up", Impairment(seed=1, loss=0.2))
        problem = await fault.call.becomes("network_lossy")
        assert "this party's packets" in problem["summary"]
        fault.proxy.impair("up", NOTHING)
        await fault.call.clears("network_lossy", within=30)


async def test_loss_on_the_way_there():
    async with talking(StockPeer(tone(5, 440), repeat=True)) as fault:
        fault.proxy.impair("down", Impairment(seed=1, loss=0.2))
        problem = await fault.call.becomes("network_lossy")
        assert "our packets" in problem["summary"]
        fault.proxy.impair("down", NOTHING)
        await fault.call.clears("network_lossy", within=30)


@pytest.mark.parametrize(
    "uneven",
    [Impairment(seed=1, jitter=0.3), Impairment(seed=1, reorder=0.3, reorder_delay=0.3)],
    ids=["in bursts", "out of order"],
)
async def test_packets_that_come_unevenly(uneven):
    async with talking() as fault:
        fault.proxy.impair("up", uneven)
        await fault.call.becomes("network_jittery")
        fault.proxy.impair("up", NOTHING)
        await fault.call.clears("network_jittery")


async def test_a_little_jitter_is_no_problem():
    async with talking() as fault:
        fault.proxy.impair("up", Impairment(seed=1, jitter=0.06))
        await asyncio.sleep(10)
        await fault.call.fine()


async def test_a_long_way():
    async with talking(StockPeer(tone(5, 440), repeat=True)) as fault:
        far = Impairment(delay=0.35)
        fault.proxy.impair("up", far, everything=True)
        fault.proxy.impair("down", far, everything=True)
        problem = await fault.call.becomes("round_trip_long")
        assert problem["evidence"]["roundTripMs"] == pytest.approx(700, abs=100)
