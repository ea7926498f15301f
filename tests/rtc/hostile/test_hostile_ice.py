"""Attacks through ICE, by a peer or by somebody who intercepted its packets."""

import asyncio
import socket
from functools import partial
from typing import Any

import pytest
from aioice import stun
from typing_extensions import override

from bridge.errors import NegotiationFailed
from bridge.rtc.config import Timeouts
from bridge.rtc.limits import MAX_ADDRESSES, MAX_PAIRS
from tests.support.peers.bridge_peer import BridgePeer, Prober, RoamingPeer, Stranger, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

FINGERPRINT_LENGTH = 8
"""The last attribute: an unsigned checksum, which need not be there."""
HURRIED = Timeouts(ice=0.4, dtls=0.4, setup=0.8)


class Contrarian(Prober):
    """Answers every check of ours with an error."""

    @override
    def datagram_received(self, data, addr):
        message = stun.parse_message(data)
        if message.message_class != stun.Class.REQUEST:
            self.responses.append(message)
            return
        self.requests.append(message)
        error = stun.Message(stun.Method.BINDING, stun.Class.ERROR, message.transaction_id)
        error.attributes["ERROR-CODE"] = (487, "")
        error.add_message_integrity(self.local[1].encode())
        self.transport.sendto(bytes(error), addr)


# A conflict of roles


async def test_endless_role_conflicts_are_answered_a_few_times(caplog):
    async with BridgePeer(timeouts=HURRIED) as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        peer = await Contrarian.open(browser, offer, await bridge.exchange(offer))
        peer.check(nominate=True)
        with pytest.raises(NegotiationFailed) as failed:
            await bridge.connected()
    assert failed.value.reason == "checks_unanswered"
    assert 2 <= len(peer.requests) <= 10
    assert caplog.records == []


async def test_a_role_conflict_costs_one_check_per_check_of_the_peer(caplog):
    async with BridgePeer(timeouts=HURRIED) as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        peer = await Contrarian.open(browser, offer, await bridge.exchange(offer))
        for _ in range(30):
            peer.check()
            await asyncio.sleep(0.002)
        with pytest.raises(NegotiationFailed):
            await bridge.connected()
    assert len(peer.requests) <= 30 + 10
    assert caplog.records == []


async def test_a_role_conflict_is_settled_once(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        browser._gatherer.link.ice_controlling = False
        browser._gatherer.link._tie_breaker = 0
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser)
        assert bridge.serving.local.ice_controlling
    assert caplog.records == []


# Checks that were overheard, or that nobody signed


def genuine(prober):
    """A check as the peer sends them, with everything in it."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{prober.remote[0]}:{prober.local[0]}"
    request.attributes["PRIORITY"] = 1000
    request.attributes["ICE-CONTROLLING"] = 1
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(prober.remote[1].encode())
    return bytes(request)


async def test_a_check_replayed_from_elsewhere_redirects_no_media():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        route = bridge.serving.local.route
        with Stranger(prober.target) as thief:
            thief.spray([genuine(prober)], times=5)
            await talk(browser)
            assert bridge.serving.local.route == route
            assert [one for one in thief.received() if one[0] > 3] == []


async def test_a_replayed_check_does_not_keep_a_dead_peer_alive():
    timeouts = Timeouts(peer_timeout=0.4, consent=(0.05, 0.1))
    async with BridgePeer(timeouts=timeouts) as bridge, RoamingPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        browser.leave()
        with Stranger(prober.target) as thief:
            begun = asyncio.get_running_loop().time()
            while not bridge.over:
                assert asyncio.get_running_loop().time() < begun + 2
                thief.spray([genuine(prober)])
                await asyncio.sleep(0.01)
        assert await bridge.peer.wait_closed() == "consent_lost"


async def test_a_nomination_without_credentials_moves_nothing():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["PRIORITY"] = 1000
        request.attributes["USE-CANDIDATE"] = None
        route = bridge.serving.local.route
        with Stranger(browser.remote_addresses[0]) as stranger:
            stranger.spray([bytes(request)], times=3)
            await until(lambda: bridge.discarded.get("bad_stun") == 3)
            await talk(browser)
            assert stranger.received() == []
        assert bridge.serving.local.route == route


def all_discarded(bridge, due):
    return sum(bridge.discarded.values()) == due


async def test_malformed_attributes_are_dropped_and_counted(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        whole = genuine(prober)
        broken = {whole[:end] for end in range(len(whole))}
        for place in range(len(whole) - FINGERPRINT_LENGTH):
            broken |= {
                whole[:place] + bytes([value]) + whole[place + 1 :]
                for value in (0, 255, whole[place] ^ 1)
            }
        broken = {one for one in broken - {whole} if one[:1] <= b"\3"}
        with Stranger(prober.target) as stranger:
            every = sorted(broken)
            for start in range(0, len(every), 20):  # no more at once than the socket's buffer takes
                due = sum(bridge.discarded.values()) + stranger.spray(every[start : start + 20])
                await until(partial(all_discarded, bridge, due))
            assert stranger.received() == []
        await talk(browser, 3)
    assert len(broken) > 300
    assert caplog.records == []


async def test_a_flood_of_checks_with_either_role_ends_nothing(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        prober = await Prober.open(browser, offer, answer)
        for number in range(100):
            role = ("ICE-CONTROLLED", "ICE-CONTROLLING")[number % 2]
            claim: Any = {role: (0, 2**64 - 1)[number // 2 % 2]}
            prober.check(**claim)
            await asyncio.sleep(0)
        await until(lambda: len(prober.responses) == 100)
        path = bridge.serving.local
        assert len(path._check_list) == 2
        assert all(len(one.transactions) <= 9 for one in path._protocols)
        # Whoever holds the credentials says where it is: the peer is back with its next check.
        link = browser._gatherer.link
        pair = link._nominated[1]
        request = link.build_request(pair, nominate=True)
        password = (link.remote_password or "").encode()
        await pair.protocol.request(request, pair.remote_addr, password)
        await until(lambda: path.route and path.route[1] == pair.local_addr)
        await talk(browser, 3)
    assert caplog.records == []


# Candidates


def candidates(listeners, *, first=0):
    return "".join(
        f"a=candidate:{first + number} 1 udp {1000 + number} {host} {port} typ host\r\n"
        for number, (host, port) in enumerate(listeners)
    )


@pytest.mark.parametrize("count", [500, 1000])
async def test_an_offer_with_a_flood_of_candidates_is_answered_and_probed_in_part(count):
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer(candidates=False)
        flood = candidates((f"203.0.113.{number % 256}", 2000 + number) for number in range(count))
        answer = await bridge.exchange(offer + flood)
        path = bridge.pending.local
        assert len(path._remote_candidates) <= MAX_PAIRS
        await browser.accept(answer)
        await bridge.connected()
        await talk(browser, 3)


async def test_further_offers_do_not_add_probes():
    timeouts = Timeouts(ice=0.5)
    async with BridgePeer(timeouts=timeouts, probe_private=True) as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        listeners = [Stranger(("127.0.0.1", 9)) for _ in range(20)]
        addresses = [one.socket.getsockname() for one in listeners]
        same = await browser.offer()
        for _ in range(10):
            await bridge.exchange(same + candidates(addresses))
        await asyncio.sleep(0.1)
        heard = [len(one.received()) for one in listeners]
        for one in listeners:
            one.socket.close()
        await talk(browser, 3)
        assert sum(heard) == 0
        assert len(bridge.serving.local._remote_candidates) <= MAX_ADDRESSES


async def test_a_flood_of_restarts_leaves_one_path_and_probes_only_for_the_newest():
    async with BridgePeer(probe_private=True) as bridge, RoamingPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        with Stranger(("127.0.0.1", 9)) as listener:
            address = listener.socket.getsockname()
            old = browser._gatherer
            plain = await browser.reoffer()
            browser._gatherer, unused = old, browser._gatherer
            head, _, tail = plain.partition("a=ice-ufrag:")
            for number in range(20):
                renamed = f"{head}a=ice-ufrag:new{number}{tail}"
                await bridge.exchange(renamed + candidates([address]))
            assert bridge.pool.free == 2
            assert len(bridge.serving._connections._open) == 2
            await asyncio.sleep(0.1)
            assert len(listener.received()) <= 3
        await talk(browser, 3)
        await unused.link.close()


PRIVATE = [
    "127.0.0.1",
    "::1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "0.0.0.0",
    "localhost",
    "secret.local",
]


@pytest.mark.parametrize("host", PRIVATE)
async def test_nothing_is_sent_to_a_private_address_that_an_offer_names(host):
    timeouts = Timeouts(ice=0.3)
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        port = listener.getsockname()[1]
        bind = ("127.0.0.1", "::1")
        async with BridgePeer(timeouts=timeouts, bind=bind) as bridge, LightPeer() as browser:
            offer = await browser.offer(candidates=False)
            await bridge.exchange(offer + candidates([(host, port)]))
            with pytest.raises(NegotiationFailed) as failed:
                await bridge.connected()
        with pytest.raises(BlockingIOError):
            listener.recv(1500)
    assert failed.value.reason == "nothing_received"


async def test_verified_addresses_are_bounded():
    async with BridgePeer() as bridge, LightPeer() as browser:
        offer = await browser.offer()
        answer = await bridge.exchange(offer)
        await browser.accept(answer)
        await bridge.connected()
        probers = [await Prober.open(browser, offer, answer) for _ in range(4 * MAX_ADDRESSES)]
        for prober in probers:
            prober.check()
        await until(lambda: bridge.discarded.get("too_many_addresses", 0) > 3 * MAX_ADDRESSES)
        path = bridge.serving.local
        assert len(path.verified.addresses) == MAX_ADDRESSES
        assert len(path._remote_candidates) <= MAX_ADDRESSES
        assert len(path._check_list) <= MAX_ADDRESSES
        await talk(browser, 3)
