"""The light peer itself, against an echo that is stock aiortc."""

import asyncio

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.bench.generators.stock_echo import make_app
from tests.support.packets.opus_packets import FRAME, RATE, PacketDecoder, decode, encode
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.signalling import StockExchange


def tone(seconds, hertz=440):
    moments = np.arange(int(seconds * RATE)) / RATE
    return (12000 * np.sin(2 * np.pi * hertz * moments)).astype(np.int16)


@pytest.mark.call
async def test_a_light_peer_sends_packets_and_notes_those_that_come_back():
    async with TestClient(TestServer(make_app())) as client, LightPeer() as peer:
        await peer.call(StockExchange(client.post, ""))
        departures = await peer.speak(encode(tone(1.0)))
        await asyncio.sleep(0.3)
        sequences = [arrival.sequence for arrival in peer.arrivals]
        assert len(departures) == 50
        assert len(sequences) > 20
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        assert peer.arrivals[0].time > departures[0].time
        assert peer.unreadable == 0


@pytest.mark.call
async def test_a_light_peer_notices_that_the_other_side_has_gone():
    async with TestClient(TestServer(make_app())) as client, LightPeer() as peer:
        await peer.call(StockExchange(client.post, ""))
        await peer.speak(encode(tone(0.3)))
        assert not peer.closed
        await client.app.shutdown()
        await peer.wait_closed(5)
        assert peer.closed


def test_a_skipped_packet_leaves_a_gap_in_sequence_and_timestamp():
    async def run():
        peer = LightPeer(sequence=65535, timestamp=2**32 - 960)
        peer.skip(2)
        await peer.close()
        return peer.sequence, peer.timestamp

    assert asyncio.run(run()) == (1, 960)


def test_encoded_packets_decode_to_the_same_tone():
    sound = decode(encode(tone(0.5)))
    spectrum = np.abs(np.fft.rfft(sound.astype(float)))
    assert abs(len(sound) - RATE // 2) <= FRAME
    assert abs(np.argmax(spectrum) * RATE / len(sound) - 440) < 5


def test_one_packet_decodes_to_20_ms_at_48_khz():
    decoder = PacketDecoder()
    assert [len(decoder.decode(packet)) for packet in encode(tone(0.1))] == [960] * 5
