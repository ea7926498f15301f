"""How a peer comes up, with independent browsers on loopback, and how that fails."""

import time

import numpy as np
import pytest

from bridge.errors import LimitExceeded, NegotiationFailed, SdpError
from bridge.rtc.config import Timeouts
from tests.support.packets.rtp_party import PAYLOADS, rtp
from tests.support.peers.bridge_peer import BridgePeer, Prober, talk, value
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

RATE = 16_000
SHORT = Timeouts(ice=0.8, dtls=0.8, setup=1.6)


@pytest.mark.call
async def test_a_stock_browser_hears_its_own_voice():
    moments = np.arange(2 * RATE) / RATE
    tone = (12000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16)
    async with BridgePeer() as bridge, StockPeer(tone) as browser:
        await browser.call(bridge.exchange)
        await browser.wait_heard(1.0)
        heard = browser.heard()[RATE // 2 :]
    strongest = np.argmax(np.abs(np.fft.rfft(heard))) * RATE / len(heard)
    assert abs(strongest - 440) < 5


@pytest.mark.parametrize("setup", ["actpass", "active", "passive"])
async def test_each_dtls_role_connects(setup):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        answer = await bridge.exchange(offer)
        assert value(answer, "setup") == ("passive" if setup == "active" else "active")
        await browser.accept(answer)
        await bridge.connected()
        await talk(browser)


async def test_an_offer_without_candidates_connects():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.accept(await bridge.exchange(await browser.offer(candidates=False)))
        await bridge.connected()
        await talk(browser)


async def test_the_cheapest_srtp_profile_is_negotiated():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        assert browser.dtls._ssl is not None
        profile = browser.dtls._ssl.get_selected_srtp_profile()
    assert profile == b"SRTP_AEAD_AES_128_GCM"


async def test_ipv6_is_used_where_an_address_is_bound():
    async with (
        BridgePeer(bind=("127.0.0.1", "::1")) as bridge,
        LightPeer(host="::1") as browser,
    ):
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        assert len(browser.remote_addresses) == 2
        assert len({port for _, port in browser.remote_addresses}) == 1


async def test_the_answer_contains_the_external_address():
    async with BridgePeer(external_address="203.0.113.9") as bridge, LightPeer() as browser:
        answer = await bridge.exchange(await browser.offer())
    assert "127.0.0.1" not in answer.replace("IN IP4 127.0.0.1\r\ns=-", "")
    assert value(answer, "candidate").split()[4] == "203.0.113.9"


async def test_timings_are_known_once_connected():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        timings = bridge.peer.timings
    assert 0.0 < timings.ice_seconds < 10.0
    assert 0.0 < timings.dtls_seconds < 10.0


async def test_a_bad_offer_takes_no_port():
    async with BridgePeer() as bridge:
        with pytest.raises(SdpError):
            await bridge.peer.create_answer("v=0\r\n")
        assert bridge.pool.free == 4


async def test_an_offer_beyond_the_ports_is_refused():
    async with BridgePeer(ports=1) as bridge, LightPeer() as first, LightPeer() as second:
        await bridge.exchange(await first.offer())
        async with BridgePeer(ports=bridge.pool) as other:
            with pytest.raises(LimitExceeded):
                await other.peer.create_answer(await second.offer())


@pytest.mark.virtual_time
async def test_a_browser_that_never_connects_fails_the_ice_stage():
    async with BridgePeer(timeouts=SHORT) as bridge, LightPeer() as browser:
        await bridge.exchange(await browser.offer())
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert (failed.value.stage, failed.value.reason) == ("ice", "nothing_received")
        assert await bridge.peer.wait_closed() == "failed"
        await until(lambda: bridge.pool.free == 4)


@pytest.mark.virtual_time
async def test_a_browser_that_never_answers_checks_has_its_own_failure_reason():
    async with BridgePeer(timeouts=SHORT) as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        prober = await Prober.open(browser, offer, await bridge.exchange(offer))
        prober.answering = False
        prober.check()
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert failed.value.reason == "checks_unanswered"


@pytest.mark.virtual_time
async def test_a_browser_that_never_nominates_has_its_own_failure_reason():
    async with BridgePeer(timeouts=SHORT) as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        prober = await Prober.open(browser, offer, await bridge.exchange(offer))
        prober.check()
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert failed.value.reason == "not_nominated"


@pytest.mark.virtual_time
async def test_a_browser_without_dtls_fails_the_dtls_stage():
    async with BridgePeer(timeouts=SHORT) as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        prober = await Prober.open(browser, offer, await bridge.exchange(offer))
        prober.check(nominate=True)
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert (failed.value.stage, failed.value.reason) == ("dtls", "timeout")
        await until(lambda: bridge.pool.free == 4)


async def test_another_certificate_than_the_offer_names_is_refused():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        wrong = ":".join(["AB"] * 32)
        answer = await bridge.exchange(offer.replace(value(offer, "fingerprint")[8:], wrong))
        await browser.accept(answer)
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert (failed.value.stage, failed.value.reason) == ("dtls", "fingerprint")


@pytest.mark.virtual_time
async def test_an_ice_lite_peer_is_checked_and_nominated_by_us():
    async with BridgePeer(timeouts=SHORT, probe_private=True) as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        prober = await Prober.open(
            browser,
            offer,
            offer.replace("a=rtcp-mux", "a=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\na=rtcp-mux"),
        )
        host, port = prober.transport.get_extra_info("sockname")
        lite = offer.replace("a=group", "a=ice-lite\r\na=group") + (
            f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
        )
        await bridge.exchange(lite)
        await until(lambda: any("USE-CANDIDATE" in one.attributes for one in prober.requests))
        assert all("ICE-CONTROLLING" in one.attributes for one in prober.requests)
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
        assert failed.value.stage == "dtls"


async def test_a_packet_held_back_is_played_though_nothing_follows():
    frames = []
    async with BridgePeer() as bridge, LightPeer() as browser:
        await bridge.exchange(await browser.offer())
        session = bridge.peer.session
        session.attach(lambda frame, _now: frames.append(frame.pts))
        # Reordering has been seen once packet 1 comes late; so packet 5 waits for packet 4.
        for number in (0, 2, 1, 3, 5):
            packet = rtp(PAYLOADS[number], sequence=number, timestamp=960 * number)
            session.receive_rtp(packet, time.monotonic())
        assert frames == [0, 320, 640, 960]
        await until(lambda: len(frames) == 6)
    assert frames == [0, 320, 640, 960, 1280, 1600]
