"""Whole calls between two browsers whose packets pass undecoded."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.settings.model import Media
from tests.support.inprocess import running, settings
from tests.support.packets.opus_packets import encode
from tests.support.peers.light_peer import DIGITS, LightPeer
from tests.support.peers.stock_peer import RATE, StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until

pytestmark = pytest.mark.call

PACKETS = encode(tone(4))


@asynccontextmanager
async def two_light_peers(chosen=None):
    """A call between `ann` (near) and `far`, both of them exact."""
    async with (
        running(chosen) as client,
        LightPeer() as ann,
        LightPeer(ssrc=0x2222, sequence=60_000, timestamp=2**32 - 20_000) as far,
    ):
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await ann.call(client.exchange(call_id))
        await far.call(client.exchange(call_id, party="far"))
        await client.until_state(call_id, "active")
        yield client, call_id, ann, far


async def legs(client, call_id):
    found = (await client.quality(call_id))["legs"]
    return {leg["party"]: leg for leg in found}


async def arrived(peer, count):
    await until(lambda: len(peer.arrivals) >= count)


async def test_packets_arrive_as_they_were_sent_in_both_directions():
    async with two_light_peers() as (client, call_id, ann, far):
        await asyncio.gather(ann.speak(PACKETS[:50]), far.speak(PACKETS[50:100]))
        await arrived(far, 50)
        await arrived(ann, 50)
        for peer, sent in ((far, PACKETS[:50]), (ann, PACKETS[50:100])):
            first = peer.arrivals[0]
            assert [arrival.payload for arrival in peer.arrivals] == sent
            assert [
                (arrival.sequence - first.sequence) & 0xFFFF for arrival in peer.arrivals
            ] == list(range(50))
            assert [
                (arrival.timestamp - first.timestamp) & 0xFFFF_FFFF for arrival in peer.arrivals
            ] == [960 * number for number in range(50)]
            assert [arrival.marker for arrival in peer.arrivals] == [True] + [False] * 49
            assert len({arrival.ssrc for arrival in peer.arrivals}) == 1
            assert first.ssrc not in (ann.ssrc, far.ssrc)
        shown = await legs(client, call_id)
        assert {leg["road"] for leg in shown.values()} == {"relay"}
        assert {leg["sent"]["relayedPackets"] for leg in shown.values()} == {50}
        assert {leg["received"]["packets"] for leg in shown.values()} == {50}
        assert {leg["received"]["frames"] for leg in shown.values()} == {0}
        assert all(-40 < leg["received"]["levelDbov"] < 0 for leg in shown.values())
        metrics = await (await client.get("/metrics")).text()
        assert "bridge_rtp_packets_passthrough_total" in metrics


async def test_losses_disorder_and_pauses_are_passed_on():
    async with two_light_peers() as (_, _, ann, far):
        numbers = [0, 1, 2, 5, 4, 6, 6, 7]
        begun = ann.sequence, ann.timestamp
        for number in numbers:
            ann.sequence, ann.timestamp = begun[0] + number, begun[1] + 960 * number
            ann.send(PACKETS[number])
            await asyncio.sleep(0.01)
        ann.pause(960 * 20)
        await asyncio.sleep(0.4)
        ann.send(PACKETS[8])
        await arrived(far, 8)
        first = far.arrivals[0]
        kept = [0, 1, 2, 5, 4, 6, 7, 8]
        assert [arrival.sequence - first.sequence for arrival in far.arrivals] == kept
        assert [arrival.payload for arrival in far.arrivals] == [PACKETS[n] for n in kept]
        times = [(arrival.timestamp - first.timestamp) // 960 for arrival in far.arrivals]
        assert times == [0, 1, 2, 5, 4, 6, 7, 28]
        assert [arrival.marker for arrival in far.arrivals] == [True] + [False] * 6 + [True]
        assert far.unreadable == 0


@pytest.mark.parametrize("clock", [8_000, 48_000])
async def test_a_digit_reaches_the_far_party_once(clock):
    async with two_light_peers() as (_, _, ann, far):
        await ann.speak(PACKETS[:10])
        await ann.send_digit("7", clock=clock)
        await ann.speak(PACKETS[10:30])
        await until(lambda: far.arrivals[-1].payload == PACKETS[29])
        events = [a for a in far.arrivals if a.payload_type == LightPeer.EVENT_48000]
        assert len({arrival.timestamp for arrival in events}) == 1
        assert {arrival.payload[0] for arrival in events} == {DIGITS.index("7")}
        assert [arrival.payload[1] >> 7 for arrival in events] == [0] * 4 + [1] * 3
        first = far.arrivals[0].sequence
        assert [a.sequence - first for a in far.arrivals] == list(range(len(far.arrivals)))


async def test_a_third_party_ends_the_relay_without_a_repeated_number():
    async with two_light_peers() as (client, call_id, ann, far), LightPeer(ssrc=0x3333) as bob:
        await ann.speak(PACKETS[:20])
        speaking = asyncio.create_task(ann.speak(PACKETS[20:120]))
        await bob.call(client.exchange(call_id))
        await asyncio.gather(speaking, bob.speak(PACKETS[:60]))
        await arrived(far, 100)
        assert (await legs(client, call_id))["far"]["road"] == "clock"
        sequences = [arrival.sequence for arrival in far.arrivals]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        stamps = [arrival.timestamp for arrival in far.arrivals]
        assert stamps == sorted(set(stamps))
        assert far.unreadable == 0


async def test_with_relay_off_packets_are_encoded_anew():
    async with two_light_peers(settings(media=Media(passthrough=False))) as (
        client,
        call_id,
        ann,
        far,
    ):
        await ann.speak(PACKETS[:30])
        await arrived(far, 30)
        assert not {arrival.payload for arrival in far.arrivals} & set(PACKETS)
        assert (await legs(client, call_id))["far"]["road"] == "pcm"


@pytest.mark.real_time
async def test_stock_browsers_hear_each_other_through_the_relay():
    async with (
        running() as client,
        StockPeer(tone(20, 440)) as ann,
        StockPeer(tone(20, 880)) as far,
    ):
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await ann.call(client.exchange(call_id))
        await far.call(client.exchange(call_id, party="far"))
        await ann.wait_heard(1.5)
        await far.wait_heard(1.5)
        shown = await legs(client, call_id)
        assert {leg["road"] for leg in shown.values()} == {"relay"}
        assert loudest(ann.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert loudest(far.heard()[-RATE // 2 :]) == pytest.approx(440, abs=10)


async def test_the_echo_contact_is_never_relayed():
    async with running() as client, LightPeer() as ann:
        call_id = await client.dial("15550100001")
        await ann.call(client.exchange(call_id))
        await ann.speak(PACKETS[:20])
        await until(lambda: len(ann.arrivals) > 10)
        assert (await legs(client, call_id))["near"]["road"] == "pcm"
        assert not {arrival.payload for arrival in ann.arrivals} & set(PACKETS)


def loudest(sound) -> float:
    """The strongest frequency, in hertz."""
    spectrum = np.abs(np.fft.rfft(sound.astype(float) * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * RATE / len(sound)
