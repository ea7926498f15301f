"""A far party that mutes itself, as its RTP shows it, is told as an event."""

import numpy as np
import pytest

from tests.support.clients.event_stream import listening
from tests.support.inprocess import running
from tests.support.peers.stock_peer import StockPeer

pytestmark = pytest.mark.call

TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 16_000)).astype(np.int16)


async def test_a_far_party_that_mutes_itself_and_speaks_again_is_told():
    async with running() as client, StockPeer(None, repeat=True) as muted:
        dialled = await client.data("/call/dial", {"channel": "webrtc"})
        call_id = dialled["callId"]
        async with listening(client, f"/call/{call_id}/events") as stream:
            exchange = client.exchange(call_id, party="far")
            await muted.call(exchange)
            told = await stream.until_type("party.muted")
            assert told["data"] == {"legID": exchange.leg_id, "party": "far", "muted": True}
            muted.microphone.say(TONE)
            told = await stream.until_type("party.muted")
            assert told["data"]["muted"] is False
