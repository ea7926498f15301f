"""A live peer passed from one `Peer` to another, which share nothing but its sockets and a snapshot."""

import asyncio

import numpy as np
import pytest

from bridge.audio.frame import Frame
from bridge.errors import HandoverRefused
from bridge.rtc import peer as peer_module
from bridge.rtc.config import Timeouts
from bridge.rtc.dtls import Dtls
from bridge.rtc.private_api import dtls_cipher, nominated
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.sdp.dialect import WHATSAPP
from tests.support.packets.packet_path import caught_up
from tests.support.peers.bridge_peer import BridgePeer, RoamingPeer, speech, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.meta_peer import MetaPeer
from tests.support.peers.moved import CipherCertificate, Indexes, hand_over, take_over, talking
from tests.support.peers.stock_peer import StockPeer
from tests.support.sip.telephone import share
from tests.support.virtual_time import monotonic
from tests.support.waiting import until

TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.int16)


def report(bridge, bye=False):
    bridge.peer.session.report(monotonic(), 1.8e9 + monotonic(), bye=bye)


def check(browser):
    """Send a check as consent needs them."""
    link = browser._gatherer.link
    used = nominated(link)
    assert used is not None
    request = link.build_request(used, nominate=False)
    request.add_message_integrity(link.remote_password.encode())
    used.protocol.send_stun(request, used.remote_addr)


def only(cipher):
    return CipherCertificate.of(b"ECDHE-ECDSA-" + cipher)


@pytest.fixture
def wraps(monkeypatch):
    """Let our sequence wrap after eight packets."""
    start = StreamStart(ssrc=0xABCD, sequence=0xFFF8, timestamp=0xFFFF_FF00)
    monkeypatch.setattr(peer_module, "new_start", lambda: start)


@pytest.mark.usefixtures("wraps")
async def test_sound_goes_both_ways_through_three_handovers_and_no_index_is_used_twice():
    async with BridgePeer() as bridge, LightPeer(sequence=0xFFF0) as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        noted, now = Indexes.of(browser), bridge
        for before in range(3):
            await talk(browser)
            report(now)
            browser.send_rtcp(b"\x80\xc9\0\1" + browser.ssrc.to_bytes(4, "big"))
            session = now.peer.session
            await until(lambda was=before, session=session: session.reports[0] > was)  # type: ignore[misc]
            now = await hand_over(now)
        async with now as last:
            await talk(browser)
            report(last)
            await until(lambda: len(browser.rtcp) == 4)
            noted.check()
            sequences = [arrival.sequence for arrival in browser.arrivals]
            assert sequences == [(0xFFF8 + number) & 0xFFFF for number in range(40)]
            assert {arrival.ssrc for arrival in browser.arrivals} == {0xABCD}
            assert browser.unreadable == 0
            found = last.peer.statistics()
            assert (found.received.packets, found.received.lost, found.sent.packets) == (40, 0, 40)
            assert found.setup is not None
            assert found.setup.first_received is not None
            assert last.peer.session.reports[0] == 3
            assert last.discarded == {}


@pytest.mark.virtual_time
async def test_timestamps_go_on_with_the_time_that_has_passed():
    async with talking(LightPeer()) as (bridge, browser), await hand_over(bridge):
        await asyncio.sleep(3.0)
        await talk(browser)
        first, second = browser.arrivals[9:11]
        elapsed = (second.timestamp - first.timestamp) & 0xFFFF_FFFF
        assert abs(elapsed / 48_000 - (second.time - first.time)) < 0.03
        assert second.marker


async def test_packets_that_pass_undecoded_do_so_on_the_successor():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        bridge.echo = None
        bridge.peer.session.attach(bridge.peer.session.push)
        await bridge.connected()
        await talk(browser, 40)
        async with await hand_over(bridge) as new:
            new.peer.session.attach(new.peer.session.push)
            await talk(browser, 40)
            await caught_up()
            assert new.peer.statistics().sent.packets == 80
            sequences = [arrival.sequence for arrival in browser.arrivals]
            assert sequences == [*range(sequences[0], sequences[0] + 80)]
            assert browser.unreadable == 0


async def test_a_peer_that_nobody_took_over_goes_on_itself():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        noted = Indexes.of(browser)
        await talk(browser)
        bridge.peer.suspend()
        with pytest.raises(HandoverRefused):
            bridge.peer.suspend()
        bridge.peer.session.push(Frame(bytes(640), 0, "never sent"), monotonic())
        report(bridge)
        bridge.peer.resume()
        await talk(browser)
        report(bridge)
        await until(lambda: bool(browser.rtcp))
        noted.check()
        assert (len(browser.arrivals), browser.unreadable, not bridge.over) == (20, 0, True)


async def test_what_comes_while_a_peer_is_suspended_is_read_by_its_successor():
    async with talking(LightPeer()) as (bridge, browser):
        snapshot, sockets = bridge.peer.suspend()
        await browser.speak(speech())
        assert len(browser.arrivals) == 10
        async with take_over(snapshot, sockets, bridge) as new:
            await bridge.peer.aclose()
            await until(lambda: len(browser.arrivals) == 20)
            assert new.peer.statistics().received.lost == 0


async def test_of_a_long_silence_the_newest_packets_are_heard_and_checks_are_answered():
    async with talking(LightPeer()) as (bridge, browser):
        snapshot, sockets = bridge.peer.suspend()
        for _ in range(6):
            await browser.speak(speech())
        check(browser)
        before = bridge.serving.local.checks_received
        async with take_over(snapshot, sockets, bridge) as new:
            await bridge.peer.aclose()
            await until(lambda: len(browser.arrivals) == 20)
            await talk(browser)
            assert new.discarded == {"outdated": 50}
            assert new.serving.local.checks_received > before
            assert browser.unreadable == 0


async def test_an_abandoned_peer_tells_nobody():
    async with talking(LightPeer()) as (bridge, browser):
        _, sockets = bridge.peer.suspend()
        kept = [one.dup() for one in sockets]
        await bridge.peer.aclose()
        assert await bridge.peer.wait_closed() == "local"
        await asyncio.sleep(0.1)
        assert not browser.closed
        assert browser.rtcp == []
        assert bridge.pool.used == 0
        for sock in kept:
            sock.close()


@pytest.mark.parametrize("cipher", [b"AES128-GCM-SHA256", b"CHACHA20-POLY1305"])
async def test_a_page_that_closes_is_noticed_by_the_successor_at_once(cipher):
    async with BridgePeer() as bridge, LightPeer(certificate=only(cipher)) as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        dtls = bridge.serving._dtls
        assert isinstance(dtls, Dtls)
        assert dtls_cipher(dtls._transport).endswith(cipher.decode())
        await talk(browser)
        async with await hand_over(await hand_over(bridge)) as new:
            await talk(browser)
            await browser.close()
            async with asyncio.timeout(5):
                assert await new.peer.wait_closed() == "closed"


@pytest.mark.parametrize("cipher", [b"AES128-GCM-SHA256", b"CHACHA20-POLY1305"])
@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_the_end_of_the_successor_is_noticed_by_the_page_at_once(setup, cipher):
    async with BridgePeer() as bridge, LightPeer(certificate=only(cipher)) as browser:
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        await browser.accept(await bridge.exchange(offer))
        await bridge.connected()
        await talk(browser)
        new = await hand_over(await hand_over(bridge))
        await talk(browser)
        await new.peer.aclose()
        await browser.wait_closed(5)
        assert browser.dtls.state == "closed"
        assert browser.rtcp[-1][-8:-6] == b"\x81\xcb"  # BYE
        async with new:
            pass


@pytest.mark.virtual_time
async def test_with_a_cipher_that_only_openssl_reads_the_end_is_noticed_by_consent():
    async with (
        talking(LightPeer(certificate=only(b"AES128-SHA"))) as (bridge, browser),
        await hand_over(bridge) as new,
    ):
        await talk(browser)
        await browser.close()
        async with asyncio.timeout(20):
            assert await new.peer.wait_closed() == "consent_lost"


@pytest.mark.virtual_time
async def test_consent_goes_on_for_both_ends_without_sound():
    async with talking(LightPeer()) as (bridge, browser), await hand_over(bridge) as new:
        before = new.peer.statistics().transport
        await asyncio.sleep(60.0)
        assert not new.over
        assert not browser.closed
        after = new.peer.statistics().transport
        assert before is not None
        assert after is not None
        assert after.checks_received > before.checks_received + 5
        assert after.responses_received > before.responses_received + 5


async def test_ice_restarts_on_the_successor():
    async with (
        talking(RoamingPeer()) as (bridge, browser),
        await hand_over(bridge, timeouts=Timeouts(linger=0.0)) as new,
    ):
        await talk(browser)
        browser.leave()
        await browser.restart(new.exchange)
        await until(lambda: new.restarts == [True])
        await talk(browser)
        assert new.discarded == {}
        async with await hand_over(new) as third:
            await talk(browser)
            assert browser.unreadable == 0
            assert not third.over


async def test_a_reloaded_page_gets_a_transport_of_its_own_on_the_successor():
    async with (
        talking(LightPeer()) as (bridge, _browser),
        await hand_over(bridge) as new,
        LightPeer() as reloaded,
    ):
        await reloaded.call(new.exchange)
        await new.synced()
        await talk(reloaded)
        assert new.peer.statistics().received.packets == 20
        async with await hand_over(new):
            await talk(reloaded)


async def test_a_digit_is_heard_once_and_one_that_is_sent_goes_on():
    async with talking(LightPeer()) as (bridge, browser):
        pressing = asyncio.create_task(browser.send_digit("7"))
        await until(lambda: bridge.digits == ["7"])
        bridge.peer.session.send_digits("12")
        for _ in range(3):
            bridge.peer.session.tick(monotonic())
            await asyncio.sleep(0.02)
        async with await hand_over(bridge) as new:
            await pressing
            assert new.digits == []
            while new.peer.session.digits_pending:
                new.peer.session.tick(monotonic())
                await asyncio.sleep(0.02)
            await until(lambda: len(browser.arrivals) == 10 + 14)
            events = [one for one in browser.arrivals if one.payload_type == LightPeer.EVENT_48000]
            assert [one.payload[0] for one in events] == [1] * 7 + [2] * 7
            assert len({one.timestamp for one in events}) == 2


async def test_a_packet_or_report_from_before_is_not_taken_again():
    async with talking(LightPeer()) as (bridge, browser):
        sound = browser.header(LightPeer.OPUS, browser.timestamp, marker=False) + speech()[0]
        report = b"\x80\xc9\0\1" + browser.ssrc.to_bytes(4, "big")
        sent = [browser.protect(sound), browser.dtls._tx_srtp.protect_rtcp(report)]
        browser.skip()
        for data in sent:
            browser.send_datagram(data)
        await until(lambda: bridge.peer.session.reports[0] == 1)
        async with await hand_over(bridge) as new:
            for data in sent:
                browser.send_datagram(data)
            await until(lambda: new.discarded == {"replayed": 2})
            await talk(browser)
            assert new.peer.session.reports[0] == 1


async def test_both_addresses_of_a_leg_are_passed_on():
    async with talking(LightPeer(), bind=("127.0.0.1", "127.0.0.2")) as (bridge, browser):
        snapshot, sockets = bridge.peer.suspend()
        assert [one.getsockname()[0] for one in sockets] == ["127.0.0.1", "127.0.0.2"]
        async with take_over(snapshot, sockets, bridge) as new:
            await talk(browser)
            assert len(new.serving.candidates()) == 2


async def test_a_media_server_of_whatsapp_is_passed_on_with_its_checks():
    async with BridgePeer(dialect=WHATSAPP) as bridge, MetaPeer() as meta:
        await bridge.peer.set_answer(await meta.answer(await bridge.peer.create_offer()))
        await bridge.peer.connect()
        bridge.peer.session.start_sending(monotonic())
        await until(lambda: meta.rtp_packets and bridge.peer.session.heard)
        snapshot, sockets = bridge.peer.suspend()
        async with take_over(snapshot, sockets, bridge, dialect=WHATSAPP) as new:
            await bridge.peer.aclose()
            before = len(meta.rtp_packets)
            assert new.serving.local.ice_controlling
            for _ in range(20):
                new.peer.session.tick(monotonic())
                await asyncio.sleep(0.02)
            await until(lambda: len(meta.rtp_packets) >= before + 15)
            assert meta.complaints == []


# Peers that share no code with the bridge


@pytest.mark.full
async def test_a_stock_peer_stays_connected_and_hears_itself():
    async with BridgePeer() as bridge, StockPeer(TONE, repeat=True) as browser:
        states: list[str] = []
        browser.connection.on(
            "connectionstatechange", lambda: states.append(browser.connection.connectionState)
        )
        await browser.call(bridge.exchange)
        await browser.wait_heard(1.0)
        async with await hand_over(bridge):
            heard = browser.ear.seconds
            await browser.wait_heard(heard + 2.0)
            assert share(browser.heard()[-8000:], 440, rate=16_000) > 0.9
            assert states[-1] == "connected"
            assert states.count("connected") == 1


@pytest.mark.full
@pytest.mark.libwebrtc
async def test_libwebrtc_hears_itself_and_can_restart_ice():
    from tests.support.peers.libwebrtc_peer import LibwebrtcPeer, tone_level

    async with BridgePeer() as bridge, LibwebrtcPeer.open() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await browser.hear(0.3)
        async with await hand_over(bridge) as new:
            await browser.hear(0.3)
            assert tone_level(await browser.hear(0.5)) > 0.05
            assert browser.connection.connection_state == "connected"
            await browser.accept(await new.exchange(await browser.offer(restart=True)))
            await until(lambda: new.restarts == [True])
            await browser.hear(0.3)
            assert tone_level(await browser.hear(0.5)) > 0.05
