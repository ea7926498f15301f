"""WebSockets that we dial: what of aiohttp is reached into."""

import socket

import aiohttp

from bridge.media.stream_link import has_room, narrow, transport_of
from tests.support.servers.stream_customer import customer_server


async def test_the_transport_of_a_websocket_is_found_and_its_kernel_buffer_made_small():
    async with (
        customer_server() as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url) as ws,
    ):
        transport = transport_of(ws)
        assert transport is not None
        assert transport.get_write_buffer_size() == 0
        assert has_room(ws)
        narrow(ws, 20_000)
        carrier = transport.get_extra_info("socket")
        assert carrier.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 40_000


async def test_what_does_not_leave_takes_the_room():
    async with (
        customer_server() as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url) as ws,
    ):
        narrow(ws, 8_000)
        customer = await server.customer()
        customer.reads.clear()
        for _ in range(2_000):
            if not has_room(ws):
                break
            await ws.send_str('{"event": "' + "x" * 8_000 + '"}')
        assert not has_room(ws)
        customer.reads.set()
        transport = transport_of(ws)
        assert transport is not None
        transport.abort()
