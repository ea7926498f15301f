"""How a peer ends: from either side, by vanishing, from any state; and what is left behind."""

import asyncio
import os

import pytest

from bridge.errors import InvalidState, NegotiationFailed
from bridge.rtc.config import Timeouts
from tests.support.peers.bridge_peer import BridgePeer, RoamingPeer, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time


def open_sockets():
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


async def test_the_browser_receives_our_bye():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        await bridge.peer.aclose()
        await browser.wait_closed()
        assert await bridge.peer.wait_closed() == "local"
    kinds = [packet[1] for packet in parts(browser.rtcp[-1])]
    assert kinds[-1] == 203  # BYE


def parts(compound):
    while compound:
        size = 4 + 4 * int.from_bytes(compound[2:4], "big")
        yield compound[:size]
        compound = compound[size:]


async def test_close_notify_of_the_browser_ends_the_peer():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await browser.close()
        async with asyncio.timeout(5):
            assert await bridge.peer.wait_closed() == "closed"


async def test_a_browser_that_vanishes_ends_the_peer():
    timeouts = Timeouts(peer_timeout=0.4, consent=(0.05, 0.1))
    async with BridgePeer(timeouts=timeouts) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.leave()
        async with asyncio.timeout(5):
            assert await bridge.peer.wait_closed() == "consent_lost"


async def test_a_restart_saves_a_peer_whose_old_path_has_died():
    timeouts = Timeouts(peer_timeout=1.0, consent=(0.05, 0.1), linger=0.0)
    async with BridgePeer(timeouts=timeouts) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.leave()

        async def slowly(offer):
            answer = await bridge.exchange(offer)
            connections = bridge.serving._connections
            await until(lambda: connections._lost)
            return answer

        await browser.restart(slowly)
        await until(lambda: bridge.restarts == [True])
        await talk(browser)


async def test_answers_to_our_checks_keep_a_silent_browser_alive():
    timeouts = Timeouts(peer_timeout=1.0, consent=(0.05, 0.1))
    async with BridgePeer(timeouts=timeouts) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.stop_asking()
        await asyncio.sleep(1.5)
        assert not bridge.over
        await talk(browser)


async def test_answers_that_take_longer_than_half_a_second_count():
    timeouts = Timeouts(peer_timeout=1.5, consent=(0.1, 0.2))
    async with BridgePeer(timeouts=timeouts) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.stop_asking()
        loop = asyncio.get_running_loop()
        at_once = browser.hear_with(lambda *data: loop.call_later(0.7, at_once, *data))
        await asyncio.sleep(2.0)
        assert not bridge.over
        browser.hear_with(at_once)


async def test_closing_frees_every_socket_task_and_port():
    async with BridgePeer() as warm, LightPeer() as browser:
        await browser.call(warm.exchange)
    sockets, tasks = open_sockets(), len(asyncio.all_tasks())
    for _ in range(5):
        async with BridgePeer() as bridge, LightPeer() as browser:
            await browser.call(bridge.exchange)
            await bridge.connected()
            await talk(browser, 2)
        assert bridge.pool.free == 4
    assert open_sockets() == sockets
    assert len(asyncio.all_tasks()) == tasks


async def test_closing_before_anything_has_happened_frees_everything():
    async with BridgePeer() as bridge:
        await bridge.peer.aclose()
        await bridge.peer.aclose()
        with pytest.raises(InvalidState):
            await bridge.peer.connect()


async def test_closing_an_answered_peer_frees_its_port():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await bridge.peer.create_answer(await browser.offer())
        await bridge.peer.aclose()
        assert bridge.pool.free == 4


async def test_closing_while_connecting_fails_the_set_up():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await bridge.exchange(await browser.offer())
        await asyncio.sleep(0)
        await bridge.peer.aclose()
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert failed.value.reason == "closed"
        assert bridge.pool.free == 4


async def test_a_cancelled_set_up_leaves_nothing_after_closing():
    before = len(asyncio.all_tasks())
    async with BridgePeer() as bridge, LightPeer() as browser:
        await bridge.exchange(await browser.offer())
        await asyncio.sleep(0.05)
        bridge.give_up()
        with pytest.raises(asyncio.CancelledError):
            await bridge.connected()
        await bridge.peer.aclose()
        assert bridge.pool.free == 4
    assert len(asyncio.all_tasks()) == before


async def test_closing_during_a_restart_and_a_reload_frees_all_ports():
    async with BridgePeer() as bridge, RoamingPeer() as page, LightPeer() as reloaded:
        await page.call(bridge.exchange)
        await bridge.connected()
        await bridge.exchange(await page.reoffer())
        await bridge.exchange(await reloaded.offer())
        assert bridge.pool.free == 1
        await bridge.peer.aclose()
        assert bridge.pool.free == 4


async def test_a_closed_peer_takes_no_further_offer():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        await bridge.peer.create_answer(offer)
        await bridge.peer.aclose()
        with pytest.raises(InvalidState):
            await bridge.peer.reoffer(offer)


async def test_closing_while_a_further_offer_is_being_answered_frees_its_port():
    async with BridgePeer() as bridge, RoamingPeer() as page, LightPeer() as reloaded:
        await page.call(bridge.exchange)
        await bridge.connected()
        for offer in (await page.reoffer(), await reloaded.offer()):
            answering = asyncio.create_task(bridge.peer.reoffer(offer))
            await asyncio.sleep(0)
            await bridge.peer.aclose()
            with pytest.raises(InvalidState):
                await answering
        assert bridge.pool.free == 4


async def test_closing_while_the_first_offer_is_being_answered_frees_its_port():
    async with BridgePeer() as bridge, LightPeer() as browser:
        answering = asyncio.create_task(bridge.peer.create_answer(await browser.offer()))
        await asyncio.sleep(0)
        await bridge.peer.aclose()
        with pytest.raises(InvalidState):
            await answering
        assert bridge.pool.free == 4


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_close_still_frees_everything(turns):
    before = len(asyncio.all_tasks())
    async with BridgePeer() as bridge, RoamingPeer() as page, LightPeer() as reloaded:
        await page.call(bridge.exchange)
        await bridge.connected()
        await bridge.exchange(await page.reoffer())
        await bridge.exchange(await reloaded.offer())
        closing = asyncio.create_task(bridge.peer.aclose())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        if turns:
            assert bridge.pool.free == 4
    assert len(asyncio.all_tasks()) == before


async def test_a_crash_during_set_up_fails_it_and_frees_its_port(monkeypatch, caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        monkeypatch.setattr("bridge.rtc.dtls.Dtls._keys", lambda _: 1 // 0)
        await browser.call(bridge.exchange)
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert failed.value.reason == "internal"
        await until(lambda: bridge.pool.free == 4)
    assert [record.message for record in caplog.records] == ["peer.setup_crashed"]
