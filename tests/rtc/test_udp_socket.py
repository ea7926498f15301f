"""Media sockets as asyncio's protocols see them."""

import asyncio
import socket
from functools import partial

import pytest
from typing_extensions import override

from bridge.log import about
from bridge.rtc.udp_socket import UdpSocket, read_by_the_loop
from bridge.wire.crash_marks import NOTHING, CrashMarks, mark_of
from tests.support.waiting import until


class Protocol(asyncio.DatagramProtocol):
    """Keeps what it is told."""

    def __init__(self):
        self.errors = []
        self.lost = []
        self.received = []

    @override
    def datagram_received(self, data, addr):
        self.received.append((data, addr))

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
    transport = UdpSocket(
        sock,
        protocol,
        discarded=discarded,
        read=lambda _: lambda: None if removed is None else removed.append(sock.fileno()),
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


def read(sock):
    protocol = Protocol()
    return UdpSocket(sock, protocol, discarded={}, read=read_by_the_loop), protocol


async def test_the_loop_reads_datagrams_with_their_senders(pair):
    _, protocol = read(pair[0])
    pair[1].sendto(b"hello", pair[0].getsockname())
    await until(lambda: bool(protocol.received))
    assert protocol.received == [(b"hello", pair[1].getsockname())]


async def test_a_paused_socket_neither_reads_nor_sends_and_what_came_is_read_afterwards(pair):
    transport, protocol = read(pair[0])
    transport.pause()
    transport.pause()
    pair[1].setblocking(False)
    pair[1].sendto(b"hello", pair[0].getsockname())
    transport.sendto(b"never", pair[1].getsockname())
    await asyncio.sleep(0.05)
    assert protocol.received == []
    with pytest.raises(BlockingIOError):
        pair[1].recv(100)
    transport.resume()
    await until(lambda: bool(protocol.received))
    transport.sendto(b"again", pair[1].getsockname())
    assert pair[1].recv(100) == b"again"


async def test_a_released_socket_stays_open_and_is_not_read_any_more(pair):
    transport, protocol = read(pair[0])
    assert transport.release() is pair[0]
    transport.close()
    transport.resume()
    await asyncio.sleep(0)
    assert (pair[0].fileno() >= 0, protocol.lost) == (True, [None])
    pair[1].sendto(b"hello", pair[0].getsockname())
    await asyncio.sleep(0.05)
    assert protocol.received == []


async def test_a_datagram_is_marked_with_the_call_of_the_socket_also_after_a_pause_elsewhere():
    memory = memoryview(bytearray(16)).cast("q")
    noted: list[int] = []

    class Noting(Protocol):
        @override
        def datagram_received(self, data, addr):
            noted.append(memory[0])

    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    read = partial(read_by_the_loop, marks=CrashMarks(memory))
    with about("one", "leg"):
        transport = UdpSocket(sock, Noting(), discarded={"unsendable": 0}, read=read)
    for turn in (1, 2):
        sender.sendto(b"data", sock.getsockname())
        await until(lambda: len(noted) == turn)  # noqa: B023
        transport.pause()
        transport.resume()  # as for a copy of the call
    assert noted == [mark_of("one")] * 2
    assert memory[0] == NOTHING
    transport.close()
    sender.close()
