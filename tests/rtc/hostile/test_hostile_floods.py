"""Floods at one port, of others and of the peer: memory stays bounded and the log empty."""

import asyncio
import os
import random
from pathlib import Path

import pylibsrtp
import pytest

from bridge.rtc.limits import MAX_PACKETS, MAX_SOURCES
from tests.support.packets.hostile_datagrams import EVERYTHING, port_of
from tests.support.packets.packet_path import caught_up
from tests.support.packets.rtp_party import PAYLOADS, rtp
from tests.support.peers.bridge_peer import BridgePeer, Stranger, speech, talk
from tests.support.peers.light_peer import LightPeer
from tests.support.waiting import until

FIRST_BYTES = (0, 1, 3, 4, 19, 20, 22, 63, 64, 127, 128, 191, 192, 255)
"""The edges of every class of RFC 7983."""


def every_length(first, *, step=1):
    noise = random.Random(first).randbytes(1500)
    return [bytes([first]) + noise[: size - 1] if size else b"" for size in range(0, 1501, step)]


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def pour(send, datagrams):
    """Send all of them, no faster than they are read."""
    for number, datagram in enumerate(datagrams):
        send(datagram)
        if number % 8 == 7:
            for _ in range(12):
                await asyncio.sleep(0)
            await caught_up()


# Of strangers


@pytest.mark.parametrize("first", FIRST_BYTES)
async def test_datagrams_of_every_length_change_nothing_at_any_time(first, caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        answer = await bridge.exchange(await browser.offer())
        with Stranger(port_of(answer)) as stranger:
            sent = 0

            def spray(datagram):
                nonlocal sent
                sent += stranger.spray([datagram])

            await pour(spray, every_length(first, step=7))
            connecting = asyncio.create_task(browser.accept(answer))
            await pour(spray, every_length(first, step=5))
            await connecting
            await bridge.connected()
            await pour(spray, every_length(first))
            await until(lambda: sum(bridge.discarded.values()) == sent)
            await talk(browser, 3)
            assert stranger.received() == []
    assert caplog.records == []


@pytest.mark.parametrize("first", FIRST_BYTES)
async def test_forgeries_of_every_length_from_the_peers_own_address_end_nothing(first, caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await pour(browser.send_datagram, every_length(first))
        await talk(browser, 3)
        assert bridge.peer.session.statistics().received.packets == 3
    assert caplog.records == []


async def test_a_flood_before_ice_takes_no_memory(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        answer = await bridge.exchange(await browser.offer())
        kinds = [bytes([first]) * 1200 for first in FIRST_BYTES]
        with Stranger(port_of(answer)) as stranger:

            def spray(datagram):
                stranger.spray([datagram])

            await pour(spray, kinds * 100)
            before = resident_bytes()
            await pour(spray, kinds * 1000)
            assert resident_bytes() - before <= 1_000_000
            await until(lambda: sum(bridge.discarded.values()) >= 14_000)
        await browser.accept(answer)
        await bridge.connected()
        await talk(browser, 3)
    assert caplog.records == []


async def test_floods_of_many_addresses_leave_none_of_them_behind():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        for _ in range(100):
            with Stranger(browser.remote_addresses[0]) as stranger:
                await pour(lambda one, by=stranger: by.spray([one]), EVERYTHING.values())
        path = bridge.serving.local
        assert len(path.verified.addresses) <= 2
        assert len(path._remote_candidates) <= 2
        assert sum(len(one.transactions) for one in path._protocols) <= 8
        await talk(browser, 3)


# Of the peer


async def test_a_flood_of_duplicates_is_decoded_once(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        assert bridge.echo is not None
        for number in range(20):
            packet = browser.protect(
                rtp(PAYLOADS[number], sequence=number, timestamp=960 * number, ssrc=browser.ssrc)
            )
            await pour(browser.send_datagram, [packet] * 50)
        await until(lambda: bridge.discarded.get("replayed") == 20 * 49)
        assert [frame.pts for frame in bridge.echo.frames] == [320 * n for n in range(20)]
    assert caplog.records == []


async def all_heard(bridge):
    await until(lambda: len(bridge.echo.frames) >= 100)


async def many_replayed(bridge):
    await until(lambda: bridge.discarded.get("replayed", 0) > 1500)


async def test_a_replay_adds_no_audio(caplog):
    packets = [rtp(PAYLOADS[n], sequence=n, timestamp=960 * n, ssrc=7) for n in range(100)]
    heard = []
    for replayed in (False, True):
        async with BridgePeer() as bridge, LightPeer() as browser:
            await browser.call(bridge.exchange)
            await bridge.connected()
            assert bridge.echo is not None
            sent = [browser.protect(packet) for packet in packets]
            for number, packet in enumerate(sent):
                browser.send_datagram(packet)
                if replayed:
                    await pour(browser.send_datagram, sent[: number + 1 : 3])
                await asyncio.sleep(0.001)
            await all_heard(bridge)
            if replayed:
                await pour(browser.send_datagram, sent)
                await many_replayed(bridge)
            heard.append([(frame.pts, frame.pcm) for frame in bridge.echo.frames])
    assert heard[0] == heard[1]
    assert len({pcm for _, pcm in heard[0]}) == 100
    assert caplog.records == []


async def test_a_flooding_peer_is_limited(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        bridge.peer.session.attach(None)
        packets = [
            browser.protect(rtp(PAYLOADS[0], sequence=n, timestamp=960 * n, ssrc=browser.ssrc))
            for n in range(2 * MAX_PACKETS)
        ]
        await pour(browser.send_datagram, packets)
        await until(
            lambda: (
                bridge.peer.session.statistics().received.packets
                + bridge.discarded.get("too_many_packets", 0)
                == len(packets)
            )
        )
        seconds = 1 + len(packets) // 1000
        assert (
            MAX_PACKETS
            <= bridge.peer.session.statistics().received.packets
            <= seconds * MAX_PACKETS
        )
        assert bridge.discarded["too_many_packets"] > 0
    assert caplog.records == []


async def test_a_peer_that_flooded_is_received_again_a_second_later():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        for number in range(2 * MAX_PACKETS):
            browser.send_rtcp(b"\x80\xc9\x00\x01" + browser.ssrc.to_bytes(4, "big"))
            if number % 8 == 7:
                await asyncio.sleep(0.001)
        await until(lambda: bridge.discarded.get("too_many_packets"))
        await asyncio.sleep(1.0)
        await talk(browser, 3)


async def test_sources_are_accepted_up_to_a_limit(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        await talk(browser, 3)
        for ssrc in range(3 * MAX_SOURCES):
            browser.send_rtp(rtp(PAYLOADS[0], sequence=1, timestamp=1, ssrc=ssrc))
            await asyncio.sleep(0)
        await until(lambda: bridge.discarded.get("too_many_sources", 0) == 2 * MAX_SOURCES + 1)
        bridge.peer.session.attach(None)
        heard = bridge.peer.session.statistics().received.packets
        browser.send(speech()[0])
        await until(lambda: bridge.peer.session.statistics().received.packets == heard + 1)
    assert caplog.records == []


async def test_a_source_that_only_reports_takes_up_no_room_for_another():
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        for ssrc in range(3 * MAX_SOURCES):
            forged = b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big") + bytes(40)
            browser.send_datagram(forged)
            await asyncio.sleep(0)
        await talk(browser, 3)
        assert bridge.discarded.get("bad_srtp") == 3 * MAX_SOURCES


async def test_video_takes_nothing_from_the_audio_however_much_comes(caplog):
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        video = [rtp(bytes(900), sequence=number, timestamp=number, ssrc=9 + number % 20, kind=96)
                 for number in range(3 * MAX_PACKETS)]  # fmt: skip
        await pour(browser.send_rtp, video)
        await talk(browser, 3)
        await until(lambda: bridge.discarded == {"unknown_payload": len(video)})
    assert caplog.records == []


async def test_authentic_but_malformed_packets_end_nothing(caplog):
    numbers = random.Random(3)
    async with BridgePeer() as bridge, LightPeer() as browser:
        await browser.call(bridge.exchange)
        await bridge.connected()
        sent = 0
        for number in range(200):
            good = bytearray(
                rtp(PAYLOADS[number % 100], sequence=number, timestamp=960 * number, ssrc=7)
            )
            for _ in range(numbers.randrange(1, 4)):
                # The number and the source are left alone: nearly every packet is to be authentic.
                place = numbers.choice([0, 1, *range(4, 8), *range(12, len(good))])
                good[place] = numbers.randrange(256)
            good[0] |= 0x80
            try:
                browser.send_rtp(bytes(good[: numbers.randrange(12, len(good) + 1)]))
                compound = (
                    b"\x80" + bytes([200 + number % 8]) + numbers.randbytes(2 + 4 * (number % 12))
                )
                browser.send_rtcp(compound + bytes(8))
                sent += 1
            except pylibsrtp.Error:
                continue
            await asyncio.sleep(0)
        browser.ssrc = 0x99
        await talk(browser, 3)
        assert bridge.discarded.get("bad_rtp", 0) > 20
    assert sent > 100
    assert caplog.records == []
