"""Sockets of a call that another node owns."""

import asyncio
import socket as sockets

import aiohttp
import pytest

from bridge.net.siblings import KERNEL_BUFFER
from tests.support.forwarding import LARGE, SECOND, Owner
from tests.support.inprocess import KEY
from tests.support.two_nodes import two_nodes


@pytest.fixture
async def owner():
    return Owner()


@pytest.fixture
async def nodes(owner):
    async with two_nodes(routes=owner.routes) as both:
        yield both


async def test_a_socket_is_passed_on_in_both_directions(nodes):
    async with nodes[0].http.ws_connect(f"/call/{SECOND}/test/socket", headers=KEY) as socket:
        for message in (b"one", b"", LARGE):
            await socket.send_bytes(message)
            assert await socket.receive_bytes() == message


async def test_a_flood_through_a_socket_arrives_whole_and_in_order(nodes):
    async with nodes[0].http.ws_connect(
        f"/call/{SECOND}/test/socket", headers=KEY, max_msg_size=0
    ) as socket:

        async def send() -> None:
            for number in range(40):
                await socket.send_bytes(bytes([number]) + LARGE[:250_000])

        async with asyncio.TaskGroup() as both:
            both.create_task(send())
            heard = [(await socket.receive_bytes())[0] for _ in range(40)]
    assert heard == list(range(40))


async def test_a_client_that_closes_its_socket_closes_the_owners(nodes, owner):
    async with nodes[0].http.ws_connect(f"/call/{SECOND}/test/socket", headers=KEY) as socket:
        await socket.send_bytes(b"one")
    async with asyncio.timeout(5):
        await owner.socket_closed.wait()


async def test_a_client_that_vanishes_closes_the_owners_socket(nodes, owner):
    socket = await nodes[0].http.ws_connect(f"/call/{SECOND}/test/socket", headers=KEY)
    connection = socket._response.connection
    assert connection is not None
    connection.transport.abort()
    async with asyncio.timeout(5):
        await owner.socket_closed.wait()


async def test_little_is_under_way_to_a_reader_that_is_stuck(nodes, owner):
    reader = sockets.socket()
    reader.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(reader, ("127.0.0.1", nodes[0].http.port))
    head = [
        f"GET /call/{SECOND}/test/flood HTTP/1.1",
        "Host: localhost",
        f"token: {KEY['token']}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    with reader:
        await loop.sock_sendall(reader, ("\r\n".join(head) + "\r\n\r\n").encode())
        before = -1
        while owner.sent != before or not before:
            before = owner.sent
            await asyncio.sleep(0.2)
    assert 0 < before < 6 * KERNEL_BUFFER


async def test_an_owners_refusal_of_a_socket_reaches_the_client(nodes):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await nodes[0].http.ws_connect(f"/call/{SECOND}/test/refused", headers=KEY)
    assert caught.value.status == 409
