"""The connection of a stream."""

import asyncio
from ipaddress import ip_network

import pytest

from bridge.call.model import EndReason, LineName
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.media.stream_link import (
    BASE64,
    MAX_PARTIAL_BYTES,
    MESSAGE_SECONDS,
    RETRY_DELAYS,
    StreamEnded,
    StreamTarget,
    connect,
    stream_end,
)
from bridge.wire.stream.media_stream import WAVIX, Channel, StreamEndReason, StreamFacts, StreamType
from bridge.wire.stream.native import NativeMessages
from tests.support.clients.raw_socket import TEXT, frame_of, raw_server
from tests.support.servers.stream_customer import customer_server
from tests.support.waiting import until

MAX_MESSAGE = round(MESSAGE_SECONDS * WAVIX.second_bytes * BASE64)
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
        link.greet()
        customer = await server.customer()
        listening = asyncio.get_running_loop().create_task(link.listen(ignore, pongs.append))
        for number in range(84):
            link.media(bytes(960), track=Channel.INBOUND, timestamp=number)
            await until(lambda: link.has_room)
        link.ping(b"84")
        await until(lambda: pongs == [b"84"])
        assert len(customer.of("media")) == 84
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await link.close()


async def test_parting_says_stop_and_closes(http):
    async with customer_server() as server:
        link = await connected(http, server.url)
        link.greet()
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


@pytest.mark.virtual_time
async def test_a_server_that_breaks_the_tls_handshake_off_may_expect_ws(http):
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(StreamEnded) as ended:
            await connected(http, f"wss://127.0.0.1:{port}/")
    assert "whether it expects ws or wss" in ended.value.text


@pytest.mark.virtual_time
async def test_a_name_without_an_address_is_called_so(http):
    with pytest.raises(StreamEnded) as ended:
        await connected(http, "ws://no-such-host.invalid/")
    assert "name has no address" in ended.value.text


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def test_what_is_received_and_becomes_no_message_ends_it(http):
    async with raw_server() as server:
        dialling = asyncio.get_running_loop().create_task(connected(http, server.url))
        ws = await server.accept()
        link = await dialling
        half = bytes(MAX_PARTIAL_BYTES // 2 + MAX_MESSAGE)
        await ws.write(frame_of(half, TEXT, masked=False, first=0))
        link.check_partial()
        await ws.write(frame_of(half, 0, masked=False, first=0))
        await until(lambda: ends(link.check_partial))
        await link.close()


def ends(check):
    """Whether a check ends the stream as a flood."""
    try:
        check()
    except StreamEnded as over:
        return over.word is StreamEndReason.FLOOD
    return False


def test_a_connection_that_breaks_is_a_failure():
    assert stream_end(ConnectionResetError()).reason is EndReason.FAILED


def test_what_is_no_end_is_raised_again():
    with pytest.raises(KeyError):
        stream_end(KeyError())


async def ignore(message: str | bytes) -> None:
    pass
