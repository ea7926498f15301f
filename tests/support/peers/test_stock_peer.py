"""The stock peer itself, against an echo that is stock aiortc as well."""

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.bench.generators.stock_echo import make_app
from tests.support.peers.signalling import HttpExchange, SignallingError, StockExchange
from tests.support.peers.stock_peer import RATE, StockPeer


def tone(seconds, hertz=440):
    moments = np.arange(int(seconds * RATE)) / RATE
    return (12000 * np.sin(2 * np.pi * hertz * moments)).astype(np.int16)


def loudest_hertz(pcm):
    spectrum = np.abs(np.fft.rfft(pcm.astype(np.float64)))
    return float(np.argmax(spectrum) * RATE / len(pcm))


@pytest.mark.call
async def test_a_stock_peer_hears_what_it_says_from_an_echo():
    async with TestClient(TestServer(make_app())) as client, StockPeer(tone(3)) as peer:
        await peer.call(StockExchange(client.post, ""))
        await peer.wait_heard(1.0)
        assert peer.connected
        assert abs(loudest_hertz(peer.heard()[RATE // 2 :]) - 440) < 5
        assert (peer.ear.started or 0.0) > (peer.microphone.started or 0.0) > 0.0


@pytest.mark.call
async def test_a_refused_offer_tells_the_status():
    async with TestClient(TestServer(make_app())) as client, StockPeer() as peer:
        exchange = HttpExchange(client.post, "", call_id="1")
        with pytest.raises(SignallingError) as caught:
            await exchange(await peer.offer())
        assert caught.value.status == 404
