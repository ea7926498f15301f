"""Media sockets of the packet path as asyncio's protocols see them."""

import asyncio
import socket

import pytest
from typing_extensions import override

from bridge.rtc.packet_path import PacketSocket


class Protocol(asyncio.DatagramProtocol):
    """Keeps what it is told."""

    def __init__(self):
        self.errors = []
        self.lost = []

    @override
    def error_received(self, exc):
        self.errors.append(exc)

    @override
    def connection_lost(self, exc):
        self.lost.append(exc)


class Refusing:
    """A socket whose buffer is full, or whose network is down."""

    def __init__(self, error):
        self.error = error

    def setblocking(self, flag):
        """Do nothing."""

    def getsockname(self):
        return "127.0.0.1", 1

    def sendto(self, data, addr):
        raise self.error


def made(sock, removed=None):
    protocol, discarded = Protocol(), {"unsendable": 0}
    transport = PacketSocket(
        sock,
        protocol,
        loop=asyncio.get_running_loop(),
        discarded=discarded,
        remove=lambda: None if removed is None else removed.append(sock.fileno()),
    )
    return transport, protocol, discarded


@pytest.fixture
def pair():
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    yield sockets
    for sock in sockets:
        sock.close()


async def test_a_datagram_goes_to_its_address_at_once(pair):
    transport, _, _ = made(pair[0])
    transport.sendto(b"hello", pair[1].getsockname())
    assert pair[1].recvfrom(100) == (b"hello", pair[0].getsockname())


async def test_what_the_kernel_does_not_take_is_counted():
    transport, protocol, discarded = made(Refusing(BlockingIOError()))
    transport.sendto(b"hello", ("127.0.0.1", 9))
    assert discarded == {"unsendable": 1}
    assert protocol.errors == []


async def test_an_error_of_the_network_goes_to_the_protocol():
    error = OSError("the network is down")
    transport, protocol, _ = made(Refusing(error))
    transport.sendto(b"hello", ("127.0.0.1", 9))
    assert protocol.errors == [error]


async def test_closing_removes_the_socket_first_and_reports_the_loss_once(pair):
    removed: list[int] = []
    transport, protocol, _ = made(pair[0], removed)
    fileno = pair[0].fileno()
    transport.close()
    transport.close()
    assert transport.is_closing()
    assert removed == [fileno]
    assert pair[0].fileno() == -1
    assert protocol.lost == []
    await asyncio.sleep(0)
    assert protocol.lost == [None]


async def test_a_closed_socket_sends_nothing(pair):
    transport, protocol, discarded = made(pair[0])
    transport.abort()
    transport.sendto(b"hello", pair[1].getsockname())
    assert (protocol.errors, discarded["unsendable"]) == ([], 0)


async def test_the_socket_and_its_name_can_be_asked_for(pair):
    transport, _, _ = made(pair[0])
    assert transport.get_extra_info("sockname") == pair[0].getsockname()
    assert transport.get_extra_info("socket") is pair[0]
