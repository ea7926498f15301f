"""UDP sockets of SIP."""

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from bridge.trunk.datagrams import SipDatagrams
from tests.support.machine import free_port
from tests.support.waiting import until


class Opened:
    """A socket, and what it reports."""

    def __init__(self, host="127.0.0.1"):
        self.received: list[Any] = []
        self.unreachable: list[Any] = []
        self.dropped: list[Any] = []
        self.socket = SipDatagrams(
            host,
            0,
            received=lambda data, address: self.received.append((data, address)),
            unreachable=self.unreachable.append,
            count_drop=self.dropped.append,
        )


@pytest.fixture(params=["127.0.0.1", "::1"])
async def pair(request):
    one, other = Opened(request.param), Opened(request.param)
    yield one, other
    one.socket.close()
    other.socket.close()


async def test_datagrams_go_both_ways(pair):
    one, other = pair
    one.socket.send(b"hello", (other.socket.host, other.socket.port))
    await until(lambda: other.received)
    (data, address) = other.received[0]
    assert (data, address) == (b"hello", (one.socket.host, one.socket.port))
    assert one.socket.six == (":" in one.socket.host)


async def test_an_address_that_refuses_datagrams_is_reported(pair):
    one, other = pair
    nobody = (one.socket.host, free_port())
    one.socket.send(b"hello", nobody)
    await until(lambda: one.unreachable)
    assert set(one.unreachable) == {nobody}
    other.socket.send(b"still here", (one.socket.host, one.socket.port))
    await until(lambda: one.received)


async def test_an_address_that_refuses_datagrams_costs_no_other_its_own(pair):
    one, other = pair
    nobody, peer = (one.socket.host, free_port()), (other.socket.host, other.socket.port)
    for number in range(50):
        one.socket.send(b"hello", nobody)
        one.socket.send(b"%d" % number, peer)
    await until(lambda: len(other.received) == 50)
    assert set(one.unreachable) == {nobody}


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_socket_that_was_refused_still_receives(run):
    async def refused_then_called():
        one, other = Opened(), Opened()
        one.socket.send(b"x", ("127.0.0.1", free_port()))
        await until(lambda: one.unreachable)
        other.socket.send(b"hello", (one.socket.host, one.socket.port))
        await until(lambda: one.received)
        one.socket.close()
        other.socket.close()

    run(refused_then_called())


async def test_what_is_too_long_for_a_datagram_is_reported(pair):
    one, other = pair
    one.socket.send(bytes(70_000), (other.socket.host, other.socket.port))
    await until(lambda: one.unreachable)
    assert one.unreachable == [(other.socket.host, other.socket.port)]


async def test_datagrams_that_the_kernel_does_not_take_are_counted():
    one = Opened()
    one.socket._socket.close()

    class Full:
        def sendto(self, data, address):
            raise BlockingIOError

    one.socket._socket = Full()  # type: ignore[assignment]
    one.socket.send(b"hello", ("127.0.0.1", 9))
    assert one.dropped == ["buffer_full"]


async def test_a_port_that_is_taken_cannot_be_bound():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match="in use"):
            SipDatagrams(
                *taken.getsockname(),
                received=lambda _data, _address: None,
                unreachable=lambda _address: None,
                count_drop=lambda _reason: None,
            )
