"""The bad network: what it decides, and that a call really goes through it."""

import asyncio
import itertools
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from typing_extensions import override

from tests.bench.generators.stock_echo import make_app
from tests.support.packets.impairment import (
    Impairment,
    ImpairmentProxy,
    Schedule,
    impaired,
    impaired_path,
    media_address,
    through,
    without_candidates,
)
from tests.support.packets.opus_packets import encode
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import StockExchange
from tests.support.waiting import until

ANSWER = (
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=candidate:1 1 udp 2130706431 192.0.2.1 20000 typ host\r\n"
    "a=end-of-candidates\r\na=mid:0\r\n"
)
SILENCE = encode(np.zeros(320, np.int16))[0]


def test_without_any_setting_every_packet_arrives_once_and_at_once():
    assert [Impairment().decide(number) for number in range(50)] == [[0.0]] * 50


def test_the_same_seed_decides_alike_in_any_order():
    network: dict[str, Any] = {
        "loss": 0.2,
        "jitter": 0.03,
        "duplicate": 0.1,
        "reorder": 0.1,
        "burst": 0.01,
    }
    forwards = [Impairment(seed=7, **network).decide(number) for number in range(300)]
    backwards = [Impairment(seed=7, **network).decide(number) for number in reversed(range(300))]
    assert forwards == backwards[::-1]


def test_another_seed_decides_otherwise():
    one = [Impairment(seed=1, loss=0.2).decide(number) for number in range(200)]
    other = [Impairment(seed=2, loss=0.2).decide(number) for number in range(200)]
    assert one != other


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_random_loss_is_as_frequent_as_asked(share):
    impairment = Impairment(seed=3, loss=share)
    lost = sum(not impairment.decide(number) for number in range(10_000))
    assert abs(lost / 10_000 - share) < 0.01


def test_a_burst_loses_packets_that_follow_one_another():
    impairment = Impairment(seed=1, burst=0.01, burst_length=4)
    fate = "".join("." if impairment.decide(number) else "x" for number in range(3000))
    runs = [len(run) for run in fate.split(".") if run]
    assert runs
    assert min(runs) >= 4


def test_a_pattern_loses_the_packets_it_marks():
    impairment = Impairment(pattern="..x")
    assert [bool(impairment.decide(number)) for number in range(6)] == [True, True, False] * 2


def test_named_packets_are_lost():
    impairment = Impairment(lost=frozenset({2, 5}))
    assert [n for n in range(10) if not impairment.decide(n)] == [2, 5]


def test_jitter_stays_between_nothing_and_its_bound_on_top_of_the_delay():
    impairment = Impairment(seed=5, delay=0.05, jitter=0.03)
    delays = [impairment.decide(number)[0] for number in range(1000)]
    assert min(delays) >= 0.05
    assert max(delays) <= 0.08
    assert max(delays) - min(delays) > 0.025


def test_a_duplicate_comes_later_than_its_original():
    impairment = Impairment(seed=5, duplicate=1.0, delay=0.01)
    assert impairment.decide(0) == [0.01, 0.015]


def test_jitter_alone_keeps_packets_in_order():
    schedule = Schedule(Impairment(seed=2, jitter=0.1))
    moments = [schedule.due(number * 0.02)[0] for number in range(500)]
    assert moments == sorted(moments)


def test_reordering_lets_later_packets_pass():
    schedule = Schedule(Impairment(seed=2, reorder=0.1, reorder_delay=0.05))
    moments = [schedule.due(number * 0.02)[0] for number in range(200)]
    overtaken = sum(later < earlier for earlier, later in itertools.pairwise(moments))
    assert overtaken > 5
    assert schedule.held_back >= overtaken


def test_a_schedule_counts_what_it_did():
    schedule = Schedule(Impairment(pattern="x.", duplicate=1.0))
    for number in range(10):
        schedule.due(number * 0.02)
    assert (schedule.packets, schedule.lost, schedule.duplicated) == (10, 5, 5)


def test_the_candidate_of_an_answer_is_replaced_and_nothing_else():
    changed = through(ANSWER, ("127.0.0.1", 4000))
    assert media_address(ANSWER) == ("192.0.2.1", 20000)
    assert media_address(changed) == ("127.0.0.1", 4000)
    assert changed.replace("127.0.0.1 4000", "192.0.2.1 20000") == ANSWER


def test_candidates_are_taken_out_of_an_offer():
    assert without_candidates(ANSWER) == ("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n")


class Datagrams(asyncio.DatagramProtocol):
    """Notes what comes in."""

    def __init__(self):
        self.received = []

    @override
    def datagram_received(self, data, addr):
        self.received.append((data, addr))

    async def wait(self, count):
        await until(lambda: len(self.received) >= count)


async def open_socket():
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, local_addr=("127.0.0.1", 0)
    )
    return transport, protocol


async def test_after_a_rebind_the_bridge_sees_another_port_and_its_replies_still_arrive():
    bridge, at_bridge = await open_socket()
    peer, at_peer = await open_socket()
    target = bridge.get_extra_info("sockname")
    async with ImpairmentProxy(target, up=Impairment(), down=Impairment()) as proxy:
        peer.sendto(b"\x00one", proxy.address)
        await at_bridge.wait(1)
        before = proxy.outside_address
        after = await proxy.rebind()
        peer.sendto(b"\x00two", proxy.address)
        await at_bridge.wait(2)
        bridge.sendto(b"\x00three", after)
        await at_peer.wait(1)
        assert before != after
        assert [source for _, source in at_bridge.received] == [before, after]
        assert at_peer.received == [(b"\x00three", proxy.address)]
    bridge.close()
    peer.close()


async def test_silence_swallows_one_way_until_it_is_restored():
    bridge, at_bridge = await open_socket()
    peer, _ = await open_socket()
    target = bridge.get_extra_info("sockname")
    async with ImpairmentProxy(target, up=Impairment(), down=Impairment()) as proxy:
        proxy.silence("up")
        peer.sendto(b"\x00lost", proxy.address)
        await until(lambda: proxy.counts.swallowed["up"])
        proxy.restore()
        peer.sendto(b"\x00kept", proxy.address)
        await at_bridge.wait(1)
        assert [data for data, _ in at_bridge.received] == [b"\x00kept"]
        assert proxy.counts.passed == {"up": 1, "down": 0}
    bridge.close()
    peer.close()


@pytest.mark.call
async def test_a_call_through_the_proxy_loses_the_packets_that_were_decided_on():
    async with TestClient(TestServer(make_app())) as client, LightPeer() as peer:
        answer = await StockExchange(client.post, "")(without_candidates(await peer.offer()))
        up = Impairment(pattern=".........x")
        async with impaired_path(answer, up=up) as (proxy, sdp):
            await peer.accept(sdp)
            await peer.speak([SILENCE] * 40)
            await until(lambda: proxy.schedules["up"].packets == 40)
            assert set(peer.remote_addresses) == {proxy.address}
            assert proxy.schedules["up"].lost == 4
            assert proxy.counts.passed["down"] > 0
            await peer.close()


@pytest.mark.call
async def test_a_call_that_loses_every_packet_hears_nothing():
    async with TestClient(TestServer(make_app())) as client, LightPeer() as peer:
        answer = await StockExchange(client.post, "")(without_candidates(await peer.offer()))
        async with impaired(answer, loss=1.0, seed=4) as sdp:
            await peer.accept(sdp)
            await peer.speak([SILENCE] * 30)
            assert peer.arrivals == []
            await peer.close()
