"""Streams of calls: the ways to them that no face goes."""

import pytest

from bridge.call.model import LineName
from bridge.errors import AddressBlocked, InvalidRequest, NotFound
from bridge.node.streams import StreamOrder
from bridge.wire.media_format import MediaFormat
from bridge.wire.media_stream import Channel, StreamType
from tests.support.inprocess import running

LINE, SILENT = LineName("demo"), "15550100008"


def order(url: str) -> StreamOrder:
    return StreamOrder(url, StreamType.TWOWAY, Channel.INBOUND, MediaFormat())


@pytest.mark.parametrize("url", ["", "http://example.com/", "ws://", "example.com"])
async def test_only_a_websockets_url_will_do(url):
    async with running() as client:
        with pytest.raises(InvalidRequest):
            await client.bridge.services.streams.check(LINE, order(url))


async def test_our_own_network_is_closed_by_default():
    async with running() as client:
        with pytest.raises(AddressBlocked):
            await client.bridge.services.streams.check(LINE, order("ws://127.0.0.1:9/"))


async def test_a_leg_that_is_no_stream_cannot_be_stopped_as_one():
    async with running() as client:
        await client.dial(SILENT)
        [runner] = client.bridge.manager.calls()
        [far] = runner.legs()
        with pytest.raises(NotFound):
            client.bridge.services.streams.stop(runner, far.leg_id)
