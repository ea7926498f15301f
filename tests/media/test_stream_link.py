"""The connection of a stream."""

import asyncio
from ipaddress import ip_network

import pytest

from bridge.call.model import EndReason, LineName
from bridge.media.stream_link import WINDOW_SECONDS, StreamEnded, connect, stream_end
from bridge.net.guard import Guard
from bridge.net.http import Http
from bridge.wire.media_stream import Channel, StreamFacts, StreamType
from tests.support.raw_socket import TEXT, raw_server
from tests.support.stream_customer import customer_server
from tests.support.waiting import until

FACTS = StreamFacts("stream", "call", StreamType.TWOWAY, Channel.INBOUND)


@pytest.fixture
async def http():
    http = Http(Guard(allow=[ip_network("127.0.0.0/8")], require_tls=False))
    yield http
    await http.aclose()


async def test_a_reader_that_reads_leaves_room(http):
    async with customer_server() as server:
        link = await connect(http.of(LineName("main")), server.url, FACTS)
        await link.greet()
        customer = await server.customer()
        listening = asyncio.get_running_loop().create_task(link.listen(ignore))
        for number in range(round(WINDOW_SECONDS * 50) + 24):
            await link.media(bytes(960), track=Channel.INBOUND, timestamp=number)
            await until(lambda: link.has_room)
        await until(lambda: len(customer.of("media")) > 60)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await link.close()


async def test_a_customer_that_never_answers_a_ping_gets_no_more_than_the_window(http):
    async with raw_server() as server:
        connecting = asyncio.get_running_loop().create_task(
            connect(http.of(LineName("main")), server.url, FACTS)
        )
        customer = await server.accept()
        link = await connecting
        for number in range(round(WINDOW_SECONDS * 50)):
            assert link.has_room
            await link.media(bytes(960), track=Channel.INBOUND, timestamp=number)
            while (await customer.frame())[0] != TEXT:
                pass
        assert not link.has_room
        await link.close()


async def test_parting_says_stop_and_closes(http):
    async with customer_server() as server:
        link = await connect(http.of(LineName("main")), server.url, FACTS)
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
        link = await connect(http.of(LineName("main")), server.url, FACTS)
        await (await server.customer()).close()
        with pytest.raises(StreamEnded, match="closed"):
            await link.listen(ignore)
        await link.close()


async def test_an_address_that_is_none_is_unreachable(http):
    with pytest.raises(StreamEnded, match="unreachable"):
        await connect(http.of(LineName("main")), "ws://127.0.0.1:9/", FACTS)


def test_a_broken_connection_is_an_end_like_any_other():
    assert stream_end(ConnectionResetError()).reason is EndReason.REMOTE_HANGUP


def test_what_is_no_end_is_raised_again():
    with pytest.raises(KeyError):
        stream_end(KeyError())


async def ignore(message: str | bytes) -> None:
    pass
