"""When a peer counts as gone: not before its time, and not long after."""

import asyncio
import math

import pytest

from bridge.rtc.config import Timeouts
from tests.support.packets.impairment import impaired_path, without_candidates
from tests.support.peers.bridge_peer import BridgePeer, RoamingPeer, speech, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

SCALE = 1 / 30
"""How much faster these tests are than the real thing."""
REAL = Timeouts()
FAST = Timeouts(
    peer_timeout=REAL.peer_timeout * SCALE,
    consent=(REAL.consent[0] * SCALE, REAL.consent[1] * SCALE),
)
CEILING = 35.0


def test_several_checks_stay_unanswered_before_a_peer_counts_as_gone():
    assert REAL.peer_timeout == 15.0
    assert math.floor(REAL.peer_timeout / REAL.consent[1]) >= 2
    assert REAL.peer_timeout + REAL.consent[1] <= CEILING


@pytest.mark.parametrize("speaking", [False, True])
async def test_a_peer_that_vanishes_is_lost_after_the_timeout(speaking):
    async with BridgePeer(timeouts=FAST) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        if speaking:
            await talk(browser)
        browser.leave()
        arrivals = bridge.serving._link.inbound.arrivals
        last = arrivals.alive_at
        async with asyncio.timeout(CEILING * SCALE + 1.0):
            assert await bridge.peer.wait_closed() == "consent_lost"
        assert monotonic() - last >= REAL.peer_timeout * SCALE - 1e-9
        assert arrivals.alive_at == last


async def test_a_peer_that_only_sends_rtp_is_alive():
    """Its answers may be lost on their way while its sound is not."""
    async with BridgePeer(timeouts=FAST) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.leave()
        await browser.speak(speech(45))
        assert not bridge.over
        assert await bridge.peer.wait_closed() == "consent_lost"


async def test_a_peer_that_only_sends_rtcp_is_alive():
    async with BridgePeer(timeouts=FAST) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.leave()
        for _ in range(18):
            browser.send_rtcp(b"\x80\xc9\x00\x01" + browser.ssrc.to_bytes(4, "big"))
            await asyncio.sleep(0.05)
        assert not bridge.over


async def test_datagrams_of_others_keep_no_peer_alive():
    async with BridgePeer(timeouts=FAST) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        old = browser.protect(b"\x80\x6f\x00\x01" + bytes(8) + speech()[0])
        browser.send_datagram(old)
        browser.leave()
        for _ in range(40):
            browser.send_datagram(old)
            browser.send_datagram(b"\x80\x6f" + bytes(60))
            browser.send_datagram(b"\x16\xfe\xfd" + bytes(60))
            browser.send_datagram(b"\x01\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
            await asyncio.sleep(0.025)
        assert await bridge.peer.wait_closed() == "consent_lost"
        await until(lambda: bridge.discarded.get("replayed"))


async def test_one_lost_answer_after_another_ends_nothing():
    """Every other check is answered."""
    async with BridgePeer(timeouts=FAST) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.stop_asking()
        count = 0

        def sometimes(data, addr):
            nonlocal count
            count += 1
            if count % 2:
                hear(data, addr)

        hear = browser.hear_with(sometimes)
        await asyncio.sleep(3 * FAST.peer_timeout)
        assert not bridge.over


async def test_a_peer_may_change_its_address_repeatedly():
    async with BridgePeer() as bridge, LightPeer() as browser:
        answer = await bridge.exchange(without_candidates(await browser.offer()))
        async with impaired_path(answer) as (proxy, sdp):
            await browser.accept(sdp)
            await bridge.connected()
            seen = {proxy.outside_address}
            path = bridge.serving.local
            link = browser._gatherer.link
            pair = link._nominated[1]
            password = (link.remote_password or "").encode()
            for number in range(2, 8):
                proxy._host = f"127.0.0.{number}"
                seen.add(await proxy.rebind())
                # A browser's next consent check shows the bridge where it is now.
                request = link.build_request(pair, nominate=True)
                await pair.protocol.request(request, pair.remote_addr, password)
                await until(lambda: path.route and path.route[1] == proxy.outside_address)
                await talk(browser, 3)
            assert len(seen) == len({host for host, _ in seen}) == 7
            assert {one.ssrc for one in browser.arrivals} == {browser.arrivals[0].ssrc}
            assert browser.unreadable == 0
            await browser.close()
