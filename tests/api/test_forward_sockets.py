"""Sockets of a call that another node owns."""

import asyncio
import socket as sockets

import aiohttp
import pytest

from bridge.api import forward
from bridge.api.openapi import OPERATIONS
from bridge.api.routes import ROUTES, SOCKETS
from bridge.cluster.sockets import KERNEL_BUFFER
from tests.support.forwarding import DOWNLOAD, LARGE, SECOND, Owner
from tests.support.inprocess import KEY
from tests.support.two_nodes import two_nodes

MAX_IN_KERNEL = 12 * 1024 * 1024
"""A download's TCP buffers are the kernel's to size; Linux lets them grow to several megabytes."""


@pytest.fixture
async def owner():
    return Owner()


@pytest.fixture(params=["processes", "machines"])
async def nodes(owner, monkeypatch, request):
    sockets = {owner.socket, owner.flood, owner.refused, owner.refused_at_length}
    monkeypatch.setattr(forward, "SOCKETS", SOCKETS | sockets)
    async with two_nodes(routes=owner.routes, machines=request.param == "machines") as both:
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


@pytest.mark.parametrize(
    ("path", "bound"),
    [("flood", 6 * KERNEL_BUFFER), ("download", MAX_IN_KERNEL), ("refused/large", MAX_IN_KERNEL)],
)
async def test_little_is_under_way_to_a_reader_that_is_stuck(nodes, owner, path, bound):
    """A socket, a download that is asked for as if it were a socket, and a socket's refusal."""
    reader = sockets.socket()
    reader.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(reader, ("127.0.0.1", nodes[0].http.port))
    head = [
        f"GET /call/{SECOND}/test/{path} HTTP/1.1",
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
    assert 0 < before < bound


@pytest.mark.parametrize(("path", "status"), [("download", 200), ("refused/large", 409)])
async def test_what_is_no_socket_arrives_whole_though_one_was_asked_for(nodes, path, status):
    upgrade = KEY | {"Connection": "Upgrade", "Upgrade": "websocket"}
    response = await nodes[0].http.get(f"/call/{SECOND}/test/{path}", headers=upgrade)
    assert (response.status, len(await response.read())) == (status, DOWNLOAD)


async def test_an_owners_refusal_of_a_socket_reaches_the_client(nodes):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await nodes[0].http.ws_connect(f"/call/{SECOND}/test/refused", headers=KEY)
    assert caught.value.status == 409


def test_every_route_that_answers_101_is_tunnelled():
    described = {key for key, operation in OPERATIONS.items() if operation.status == 101}
    tunnelled = {(r.method, r.path) for r in ROUTES if getattr(r, "handler", None) in SOCKETS}
    assert tunnelled == described
