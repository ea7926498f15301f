"""Further offers of one peer, with sound going on: ICE restart, renegotiation, a reloaded page."""

import asyncio

import pytest

from bridge.errors import LimitExceeded
from bridge.rtc.config import Timeouts
from tests.support.peers.bridge_peer import BridgePeer, RoamingPeer, talk, value
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

SHORT = Timeouts(ice=0.8, dtls=0.8, setup=1.6)


async def test_audio_continues_through_an_ice_restart():
    async with BridgePeer(timeouts=Timeouts(linger=0.0)) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        port = value(browser.answer_sdp, "candidate").split()[5]
        browser.leave()
        await browser.restart(bridge.exchange)
        await until(lambda: bridge.restarts == [True])
        await talk(browser)
        assert value(browser.answer_sdp, "candidate").split()[5] != port
        sequences = [arrival.sequence for arrival in browser.arrivals]
        assert sequences == [*range(sequences[0], sequences[0] + 20)]
        assert len({arrival.ssrc for arrival in browser.arrivals}) == 1
        assert browser.unreadable == 0
        await until(lambda: bridge.pool.free == 3)


async def test_an_ice_restart_keeps_role_and_fingerprint_in_the_answer():
    async with BridgePeer() as bridge, RoamingPeer() as browser:
        offer = (await browser.offer()).replace("a=setup:actpass", "a=setup:active")
        first = await bridge.exchange(offer)
        await browser.accept(first)
        await bridge.connected()
        second, kind = await bridge.peer.reoffer(await browser.reoffer())
    assert kind == "restart"
    for name in ("setup", "fingerprint", "ssrc", "mid"):
        assert value(first, name) == value(second, name)
    assert value(first, "ice-ufrag") != value(second, "ice-ufrag")


async def test_the_old_path_is_used_until_the_new_one_is_nominated():
    async with BridgePeer() as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        old = browser._gatherer
        answer = await bridge.exchange(await browser.reoffer())
        browser._gatherer, new = old, browser._gatherer
        await talk(browser)
        assert value(answer, "ice-ufrag")
        assert bridge.restarts == []
        browser._gatherer = new


async def test_a_failed_restart_leaves_the_old_path():
    timeouts = Timeouts(ice=0.8)
    async with BridgePeer(timeouts=timeouts) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        old = browser._gatherer
        await bridge.exchange(await browser.reoffer())
        browser._gatherer, unused = old, browser._gatherer
        await until(lambda: bridge.restarts == [False])
        await talk(browser)
        assert bridge.pool.free == 3
        await unused.link.close()


async def test_after_a_failed_restart_the_old_credentials_are_the_known_ones():
    async with BridgePeer(timeouts=Timeouts(ice=0.8)) as bridge, RoamingPeer() as browser:
        offer = await browser.offer()
        await browser.accept(await bridge.exchange(offer))
        await bridge.connected()
        failing = await browser.reoffer()
        await bridge.exchange(failing)
        await until(lambda: bridge.restarts == [False])
        assert (await bridge.peer.reoffer(offer))[1] == "renegotiate"
        assert (await bridge.peer.reoffer(failing))[1] == "restart"


async def test_a_restart_that_finds_no_port_leaves_the_old_path():
    async with BridgePeer(ports=1) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        old = browser._gatherer
        with pytest.raises(LimitExceeded):
            await bridge.exchange(await browser.reoffer())
        browser._gatherer, unused = old, browser._gatherer
        await talk(browser)
        await unused.link.close()


async def test_a_restart_before_the_first_path_is_up_connects():
    async with BridgePeer() as bridge, RoamingPeer() as browser:
        await bridge.exchange(await browser.offer())
        answer = await bridge.exchange(await browser.reoffer())
        await browser.accept(answer)
        await bridge.connected()
        await talk(browser)
        assert bridge.pool.free == 3


async def test_the_same_credentials_are_answered_on_the_same_transport():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        first = browser.answer_sdp
        offer = await browser.offer()
        changed = offer.replace("a=sendrecv", "a=sendonly").replace("111", "112")
        second, kind = await bridge.peer.reoffer(changed)
        assert kind == "renegotiate"
        assert "a=recvonly" in second
        assert "a=rtpmap:112 opus/48000/2" in second
        for name in ("ice-ufrag", "ice-pwd", "candidate", "fingerprint"):
            assert value(first, name) == value(second, name)
        versions = [one.splitlines()[1].split()[1:3] for one in (first, second)]
        assert versions[0][0] == versions[1][0]
        assert int(versions[1][1]) == int(versions[0][1]) + 1
        assert bridge.pool.free == 3


async def test_a_reloaded_page_takes_the_place_of_the_old_one():
    async with BridgePeer() as bridge, LightPeer() as page, LightPeer() as reloaded:
        await page.call(bridge.exchange)
        await bridge.connected()
        await talk(page)
        session = bridge.peer.session
        await reloaded.call(bridge.exchange)
        await bridge.synced()
        await talk(reloaded)
        assert bridge.peer.session is session
        assert bridge.peer.session.statistics().received.packets == 20
        assert page.arrivals[-1].ssrc != reloaded.arrivals[0].ssrc
        assert int(value(reloaded.answer_sdp, "ssrc").split()[0]) == reloaded.arrivals[0].ssrc
        await page.wait_closed()
        await until(lambda: bridge.pool.free == 3)


async def test_a_page_that_is_reloaded_while_the_first_one_connects_is_connected():
    async with BridgePeer() as bridge, LightPeer() as page, LightPeer() as reloaded:
        await bridge.exchange(await page.offer())
        await reloaded.call(bridge.exchange)
        await bridge.connected()
        await talk(reloaded)
        assert bridge.pool.free == 3


async def test_the_old_page_may_close_while_the_new_one_connects():
    async with BridgePeer() as bridge, LightPeer() as page, LightPeer() as reloaded:
        await page.call(bridge.exchange)
        await bridge.connected()
        answer = await bridge.exchange(await reloaded.offer())
        await page.close()
        await reloaded.accept(answer)
        await bridge.synced()
        await talk(reloaded)


async def test_a_reload_that_fails_leaves_the_old_page():
    async with (
        BridgePeer(timeouts=SHORT) as bridge,
        LightPeer() as page,
        LightPeer() as reloaded,
    ):
        await page.call(bridge.exchange)
        await bridge.connected()
        await bridge.exchange(await reloaded.offer())
        await until(lambda: bridge.pool.free == 3)
        await talk(page)


async def test_a_reload_that_fails_after_the_old_page_has_gone_ends_the_peer():
    async with (
        BridgePeer(timeouts=SHORT) as bridge,
        LightPeer() as page,
        LightPeer() as reloaded,
    ):
        await page.call(bridge.exchange)
        await bridge.connected()
        await bridge.exchange(await reloaded.offer())
        await page.close()
        async with asyncio.timeout(5):
            assert await bridge.peer.wait_closed() == "closed"
