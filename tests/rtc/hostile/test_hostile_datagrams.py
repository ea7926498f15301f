"""Hostile datagrams at a leg's port, from other addresses and from the peer's."""

import asyncio
import socket

import pytest
from aioice import stun

from bridge.rtc.config import Timeouts
from bridge.rtc.limits import MAX_ADDRESSES, MAX_PAIRS
from tests.support.packets.hostile_datagrams import DTLS, EVERYTHING, MEDIA, ODD, STUN, port_of
from tests.support.peers.bridge_peer import BridgePeer, Prober, RoamingPeer, Stranger, speech, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until


@pytest.mark.parametrize("setup", ["actpass", "active"])
async def test_datagrams_of_others_before_and_during_set_up_change_nothing(setup, caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = (await browser.offer()).replace("a=setup:actpass", f"a=setup:{setup}")
        answer = await bridge.exchange(offer)
        with Stranger(port_of(answer)) as stranger:
            stranger.spray(EVERYTHING.values(), times=3)

            async def keep_spraying():
                while True:
                    stranger.spray(EVERYTHING.values())
                    await asyncio.sleep(0.001)

            spraying = asyncio.create_task(keep_spraying())
            await browser.accept(answer)
            await bridge.connected()
            spraying.cancel()
            await talk(browser)
            assert stranger.received() == []
    assert caplog.records == []


@pytest.mark.parametrize("kind", EVERYTHING)
async def test_a_call_survives_datagrams_from_other_addresses(kind, caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        with Stranger(browser.remote_addresses[0]) as stranger:
            before = sum(bridge.discarded.values())
            sent = stranger.spray([EVERYTHING[kind]], times=5)
            await talk(browser, 3)
            await until(lambda: sum(bridge.discarded.values()) - before == sent)
            assert stranger.received() == []
    assert caplog.records == []


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (DTLS, "unknown_source"),
        (MEDIA, "unknown_source"),
        (STUN, "bad_stun"),
        ({"empty": b""}, "empty"),
        ({"oversized": b"\x80" * 1501}, "oversized"),
    ],
)
async def test_datagrams_of_others_are_counted_by_reason(kinds, reason):
    async with BridgePeer() as bridge, LightPeer() as browser:
        answer = await bridge.exchange(await browser.offer())
        with Stranger(port_of(answer)) as stranger:
            sent = stranger.spray(kinds.values(), times=5)
            await until(lambda: bridge.discarded == {reason: sent})


@pytest.mark.parametrize("kind", [*DTLS, *MEDIA, *STUN, *ODD])
async def test_a_call_survives_forgeries_from_the_address_of_its_peer(kind):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        for _ in range(5):
            browser.send_datagram(EVERYTHING[kind])
        await talk(browser, 3)


async def test_a_replayed_packet_is_decoded_once():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        browser.send(speech()[0])
        packet = browser.protect(
            b"\x80\x6f" + browser.sequence.to_bytes(2, "big") + bytes(4)
            + browser.ssrc.to_bytes(4, "big") + speech()[1]
        )  # fmt: skip
        for _ in range(5):
            browser.send_datagram(packet)
        await until(lambda: bridge.discarded.get("replayed") == 4)
        assert bridge.peer.session.statistics().received.packets == 2


async def test_a_copied_packet_from_another_address_is_dropped():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        packet = browser.protect(
            b"\x80\x6f" + browser.sequence.to_bytes(2, "big") + bytes(4)
            + browser.ssrc.to_bytes(4, "big") + speech()[0]
        )  # fmt: skip
        with Stranger(browser.remote_addresses[0]) as thief:
            thief.spray([packet])
            await until(lambda: bridge.discarded.get("unknown_source") == 1)
        assert bridge.peer.session.statistics().received.packets == 0


async def test_checks_with_a_wrong_password_are_neither_answered_nor_followed():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        before = bridge.discarded.get("bad_stun", 0)
        for _ in range(3):
            prober.check(nominate=True, password="wrong" * 5)
        prober.check(nominate=True, USERNAME=f"{prober.remote[0]}:someone")
        await until(lambda: bridge.discarded.get("bad_stun", 0) == before + 4)
        await talk(browser, 3)
        assert (prober.responses, prober.requests, prober.media) == ([], [], [])


async def test_the_number_of_verified_addresses_is_bounded():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        answer = await bridge.exchange(offer)
        probers = [await Prober.open(browser, offer, answer) for _ in range(MAX_ADDRESSES + 2)]
        for prober in probers:
            prober.check()
        await until(lambda: bridge.discarded.get("too_many_addresses") == 2)
        await until(lambda: sum(bool(one.responses) for one in probers) == MAX_ADDRESSES)


async def test_a_peer_may_move_to_another_address_without_a_restart():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        prober.check(nominate=True)
        await until(lambda: prober.requests and prober.responses)
        await until(lambda: [browser.send(speech()[0])] and prober.media)


async def test_a_peer_may_move_to_an_address_that_did_not_answer_at_first():
    async with BridgePeer(probe_private=True) as bridge, LightPeer() as browser:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            candidate = f"a=candidate:9 1 udp 2130706431 127.0.0.1 {sock.getsockname()[1]} typ host"
            offer = await browser.offer()
            answer = await bridge.exchange(f"{offer}{candidate}\r\n")
            await browser.accept(answer)
            await bridge.connected()
            prober = await Prober.open(browser, offer, answer, sock)
            prober.check(nominate=True)
            await until(lambda: [browser.send(speech()[0])] and prober.media)


@pytest.mark.virtual_time
@pytest.mark.parametrize("private", [False, True])
async def test_private_candidates_are_probed_only_if_configured(private):
    timeouts = Timeouts(ice=0.3)
    async with (
        BridgePeer(timeouts=timeouts, probe_private=private) as bridge,
        LightPeer() as browser,
    ):
        with Stranger(("127.0.0.1", 9)) as listener:
            port = listener.socket.getsockname()[1]
            offer = await browser.offer(candidates=False)
            await bridge.exchange(
                f"{offer}a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
            )
            await asyncio.gather(bridge.connected(), return_exceptions=True)
            assert bool(listener.received()) is private


@pytest.mark.virtual_time
async def test_an_offer_of_many_candidates_probes_few():
    timeouts = Timeouts(ice=1.5)
    async with BridgePeer(timeouts=timeouts, probe_private=True) as bridge, LightPeer() as browser:
        listeners = [Stranger(("127.0.0.1", 9)) for _ in range(50)]
        ports = [one.socket.getsockname()[1] for one in listeners]
        offer = await browser.offer(candidates=False)
        lines = [
            f"a=candidate:{number} 1 udp {1000 - number} 127.0.0.1 {port} typ host"
            for number, port in enumerate(ports)
        ]
        await bridge.exchange(offer + "\r\n".join(lines) + "\r\n")
        await asyncio.gather(bridge.connected(), return_exceptions=True)
        heard = sum(bool(one.received()) for one in listeners)
        for one in listeners:
            one.socket.close()
        assert 0 < heard <= MAX_PAIRS


async def test_early_dtls_is_bounded_and_the_newest_is_kept():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        answer = await bridge.exchange(offer)
        prober = await Prober.open(browser, offer, answer)
        prober.check()
        await until(lambda: prober.responses)
        numbered = [b"\x16" + number.to_bytes(2, "big") for number in range(100)]
        for record in numbered:
            prober.transport.sendto(record, prober.target)
        await until(lambda: bridge.discarded.get("dtls_overflow") == 36)
        link = bridge.pending._link
        assert [await link._recv() for _ in range(64)] == numbered[36:]


async def test_media_before_the_keys_is_counted():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        prober = await Prober.open(browser, offer, await bridge.exchange(offer))
        prober.check()
        await until(lambda: prober.responses)
        prober.transport.sendto(MEDIA["rtp"], prober.target)
        await until(lambda: bridge.discarded == {"early_media": 1})


async def test_a_check_without_a_priority_is_not_authentic():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        prober = await Prober.open(browser, offer, await bridge.exchange(offer))
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{prober.remote[0]}:{prober.local[0]}"
        request.add_message_integrity(prober.remote[1].encode())
        prober.transport.sendto(bytes(request), prober.target)
        await until(lambda: bridge.discarded == {"bad_stun": 1})


async def test_consent_checks_that_stay_unanswered_do_not_pile_up():
    timeouts = Timeouts(consent=(0.01, 0.02))
    async with BridgePeer(timeouts=timeouts) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        seen: list[bytes] = []
        browser.hear_with(lambda data, addr: seen.append(data))
        await until(lambda: len(seen) >= 20)
        path = bridge.serving._connections.current
        assert path is not None
        (waiting,) = path._protocols
        assert len(waiting.transactions) == 8
