"""An offer names addresses of its author's choice: how much the bridge sends to them, and when.

Loopback stands for public addresses here: `may_probe` is asked about it as about any other.
"""

import asyncio
from contextlib import ExitStack, contextmanager

import pytest

from bridge.rtc import ice
from bridge.rtc.config import Timeouts
from bridge.rtc.limits import MAX_LITE_CANDIDATES, MAX_PAIRS
from tests.support.peers.bridge_peer import BridgePeer, Prober, Stranger, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

VICTIMS = 40


@pytest.fixture(autouse=True)
def _loopback_is_public(monkeypatch):
    monkeypatch.setattr(ice, "may_probe", lambda host, port, *, private: True)


@contextmanager
def victims():
    """Sockets that an offer names, with the candidate lines that name them."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(Stranger(("127.0.0.1", 9))) for _ in range(VICTIMS)]
        lines = [
            f"a=candidate:{number} 1 udp {1000 - number} 127.0.0.1 {one.socket.getsockname()[1]}"
            " typ srflx raddr 0.0.0.0 rport 9\r\n"
            for number, one in enumerate(sockets)
        ]
        yield sockets, "".join(lines)


def reached(sockets):
    return sum(bool(one.received()) for one in sockets)


async def test_an_offer_alone_sends_nothing_to_the_addresses_it_names():
    async with BridgePeer(timeouts=Timeouts(ice=0.5)) as bridge, LightPeer() as browser:
        with victims() as (sockets, lines):
            await bridge.exchange(await browser.offer(candidates=False) + lines)
            await asyncio.gather(bridge.connected(), return_exceptions=True)
            assert reached(sockets) == 0


async def test_a_peer_that_shows_itself_has_few_of_its_addresses_checked():
    async with BridgePeer(timeouts=Timeouts(ice=0.6)) as bridge, LightPeer() as browser:
        with victims() as (sockets, lines):
            offer = await browser.offer(candidates=False)
            answer = await bridge.exchange(offer + lines)
            prober = await Prober.open(browser, offer, answer)
            prober.answering = False
            prober.check()
            await asyncio.gather(bridge.connected(), return_exceptions=True)
            assert 0 < reached(sockets) <= MAX_PAIRS


async def test_each_address_of_ours_counts_in_what_is_sent():
    bind = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    async with BridgePeer(timeouts=Timeouts(ice=0.6), bind=bind) as bridge, LightPeer() as browser:
        with victims() as (sockets, lines):
            offer = await browser.offer(candidates=False)
            prober = await Prober.open(browser, offer, await bridge.exchange(offer + lines))
            prober.answering = False
            prober.check()
            await asyncio.gather(bridge.connected(), return_exceptions=True)
            assert 0 < reached(sockets) <= MAX_PAIRS // len(bind)


async def test_an_ice_lite_peer_which_cannot_show_itself_has_two_addresses_checked():
    async with BridgePeer(timeouts=Timeouts(ice=0.6)) as bridge, LightPeer() as browser:
        with victims() as (sockets, lines):
            offer = await browser.offer(candidates=False)
            lite = offer.replace("a=group", "a=ice-lite\r\na=group")
            await bridge.exchange(lite + lines)
            await asyncio.gather(bridge.connected(), return_exceptions=True)
            assert reached(sockets) == MAX_LITE_CANDIDATES


async def test_a_peer_whose_checks_cannot_come_from_where_it_hears_is_found_by_ours():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        prober = await Prober.open(
            browser, offer, answer
        )  # shows the peer, from an address of its own
        prober.answering = False
        await asyncio.sleep(0)
        prober.check()
        path = bridge.pending.local
        await until(lambda: len(path._remote_candidates) == 2)
        await browser.accept(answer)
        await bridge.connected()
        await talk(browser, 3)
