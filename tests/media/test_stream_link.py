"""The connection of a stream."""

import asyncio
from ipaddress import ip_network

import pytest

from bridge.call.model import EndReason, LineName
from bridge.media.stream_link import RETRY_DELAYS, StreamEnded, StreamTarget, connect, stream_end
from bridge.net.guard import Guard
from bridge.net.http import Http
from bridge.wire.media_stream import Channel, StreamFacts, StreamType
from bridge.wire.stream_native import NativeMessages
from tests.support.stream_customer import customer_server
from tests.support.waiting import until

FACTS = StreamFacts("stream", "call", StreamType.TWOWAY, Channel.INBOUND)


@pytest.fixture
async def http():
    http = Http(Guard(allow=[ip_network("127.0.0.0/8")], require_tls=False))
    yield http
    await http.aclose()


async def connected(http, url):
    target = StreamTarget(url, http.of(LineName("main")).streams)
    return await connect(target, FACTS, NativeMessages(FACTS))


async def test_a_reader_that_reads_leaves_room_and_answers_pings(http):
    pongs: list[bytes] = []
    async with customer_server() as server:
        link = await connected(http, server.url)
        await link.greet()
        customer = await server.customer()
        listening = asyncio.get_running_loop().create_task(link.listen(ignore, pongs.append))
        for number in range(84):
            await link.media(bytes(960), track=Channel.INBOUND, timestamp=number)
            await until(lambda: link.has_room)
        await link.ping(b"84")
        await until(lambda: pongs == [b"84"])
        assert len(customer.of("media")) == 84
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await link.close()


async def test_parting_says_stop_and_closes(http):
    async with customer_server() as server:
        link = await connected(http, server.url)
        await link.greet()
        await link.close()
        customer = await server.customer()
        await until(customer.closed.is_set)
        assert [message["event"] for message in customer.messages] == [
            "connected",
            "start",
            "stop",
        ]


async def test_a_customer_who_closes_ends_it(http):
    async with customer_server() as server:
        link = await connected(http, server.url)
        await (await server.customer()).close()
        with pytest.raises(StreamEnded, match="closed"):
            await link.listen(ignore, lambda payload: None)
        await link.close()


@pytest.mark.virtual_time
async def test_an_address_that_is_none_is_unreachable():
    http = Http(Guard(allow=[ip_network("127.0.0.0/8")], require_tls=False))
    with pytest.raises(StreamEnded, match="unreachable"):
        await connected(http, "ws://127.0.0.1:9/")
    assert asyncio.get_running_loop().time() >= sum(RETRY_DELAYS)
    await http.aclose()


def test_a_connection_that_breaks_is_a_failure():
    assert stream_end(ConnectionResetError()).reason is EndReason.FAILED


def test_what_is_no_end_is_raised_again():
    with pytest.raises(KeyError):
        stream_end(KeyError())


async def ignore(message: str | bytes) -> None:
    pass
