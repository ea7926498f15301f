"""The poller of the compiled packet path: what reaches Python, and from whom."""

import asyncio
import ctypes
import os
import socket
import time

import pytest
from typing_extensions import override

from bridge.errors import LegError
from bridge.log import about, call_id
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.packet_poller import Poller, Scheduling
from bridge.wire.crash_marks import NOTHING, mark_of
from bridge.wire.rtp.used_numbers import BYTES, HEAD_BYTES, Ledger, read_marks
from tests.support.packets.packet_path import library
from tests.support.peers.bridge_peer import opus
from tests.support.waiting import until


class Protocol(asyncio.DatagramProtocol):
    """Keeps datagrams; with each notes what a function returns, and closes a transport."""

    def __init__(self, *, closes=None, noting=lambda: None):
        self.received = []
        self.noted = []
        self.closes = closes
        self.noting = noting

    @override
    def connection_made(self, transport):
        self.transport = transport

    @override
    def datagram_received(self, data, addr):
        self.received.append((data, addr))
        self.noted.append(self.noting())
        if self.closes is not None:
            self.closes.transport.close()


@pytest.fixture
async def path():
    made = PacketPath(library(), opus())
    yield made
    made.close()


@pytest.fixture
async def threaded():
    made = PacketPath(library(), opus(), scheduling=Scheduling(thread=True))
    yield made
    made.close()


def bound(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock


def offload(path):
    return path.transport(receive=lambda *_: None, discarded={"unsendable": 0}, limit=500)


def listen(path, sock, **options):
    protocol = Protocol(**options)
    offload(path).listen(sock, protocol)
    return protocol


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_datagram_without_a_lease_comes_untouched_and_with_its_sender(path, host):
    sock, sender = bound(host), bound(host)
    protocol = listen(path, sock)
    sender.sendto(b"\x80anything", sock.getsockname())
    await until(lambda: protocol.received)
    assert protocol.received == [(b"\x80anything", sender.getsockname()[:2])]
    sender.close()
    protocol.transport.close()


async def test_empty_and_oversized_datagrams_come_with_their_kind_of_size(path):
    sock, sender = bound(), bound()
    protocol = listen(path, sock)
    for size in (0, 1500, 1501, 9000):
        sender.sendto(bytes(size), sock.getsockname())
    await until(lambda: len(protocol.received) == 4)
    sizes = [len(data) for data, _ in protocol.received]
    assert sizes[:3] == [0, 1500, 1501]
    assert sizes[3] > 1500
    sender.close()
    protocol.transport.close()


async def test_all_sockets_are_served_while_one_is_flooded(path):
    flooded, other, sender = bound(), bound(), bound()
    many, few = listen(path, flooded), listen(path, other)
    for _ in range(100):
        sender.sendto(b"flood", flooded.getsockname())
    sender.sendto(b"one", other.getsockname())
    await until(lambda: few.received)
    await until(lambda: len(many.received) == 100)
    sender.close()
    many.transport.close()
    few.transport.close()


def send(path, sender, sock, *datagrams):
    """Send datagrams, and wait until the thread has read them."""
    for data in datagrams:
        sender.sendto(data, sock.getsockname())
    path.poller.wait()


def received(*protocols):
    return [[data for data, _ in protocol.received] for protocol in protocols]


async def test_what_waits_of_a_flooded_socket_delays_no_other(threaded):
    flooded, other, sender = bound(), bound(), bound()
    many, few = listen(threaded, flooded), listen(threaded, other)
    send(threaded, sender, flooded, *[b"flood"] * 100)
    send(threaded, sender, other, b"one")
    threaded.poll()
    assert received(many, few) == [[b"flood"], [b"one"]]
    for _ in range(99):
        threaded.poll()
    assert len(many.received) == 100
    assert threaded.figures().ring_bytes == 0
    for each in (sender, many.transport, few.transport):
        each.close()


async def test_what_has_to_wait_for_the_next_turn_keeps_the_order_of_its_transport(threaded):
    sockets, sender = [bound(), bound()], bound()
    shared, protocols = offload(threaded), [Protocol(), Protocol()]
    for sock, protocol in zip(sockets, protocols, strict=True):
        shared.listen(sock, protocol)
    send(threaded, sender, sockets[0], b"1", b"2")
    send(threaded, sender, sockets[1], b"3")
    threaded.poll()
    assert received(*protocols) == [[b"1"], []]
    threaded.poll()
    assert received(*protocols) == [[b"1", b"2"], [b"3"]]
    for each in (sender, *(protocol.transport for protocol in protocols)):
        each.close()


async def test_large_datagrams_at_some_sockets_leave_room_for_the_others(threaded):
    flooded, other, sender = [bound() for _ in range(4)], bound(), bound()
    many, few = [listen(threaded, sock) for sock in flooded], listen(threaded, other)
    for sock in flooded * 10:
        send(threaded, sender, sock, *[bytes(2048)] * 20)
    send(threaded, sender, other, b"one")
    threaded.poll()
    assert received(few) == [[b"one"]]
    assert threaded.figures().dropped > 0
    for each in (sender, few.transport, *(protocol.transport for protocol in many)):
        each.close()


def test_a_forked_process_that_exits_leaves_the_thread_asleep():
    poller = Poller(library().ffi, library().lib, Scheduling(thread=True))
    poller.wait()
    child = os.fork()
    if child == 0:
        poller.close()  # as its interpreter does when it exits
        os._exit(0)
    os.waitpid(child, 0)
    rounds = poller.figures().rounds
    time.sleep(0.1)
    assert poller.figures().rounds == rounds
    poller.close()


async def test_what_a_datagram_starts_goes_on_before_the_next_one_of_its_socket(path):
    sock, sender = bound(), bound()
    protocol = listen(path, sock)
    seen: list[int] = []

    def count() -> None:
        seen.append(len(protocol.received))
        asyncio.get_running_loop().call_soon(count)

    for _ in range(3):
        sender.sendto(b"one", sock.getsockname())
    count()
    await until(lambda: len(protocol.received) == 3)
    assert {1, 2, 3} <= set(seen)
    sender.close()
    protocol.transport.close()
    await asyncio.sleep(0)


async def test_a_socket_that_another_datagram_of_the_batch_closed_gets_nothing(path):
    sockets, sender = [bound(), bound()], bound()
    first, second = (listen(path, sock) for sock in sockets)
    first.closes, second.closes = second, first
    for sock in sockets:
        sender.sendto(b"one", sock.getsockname())
    await until(lambda: first.received or second.received)
    await asyncio.sleep(0.02)
    assert len(first.received) + len(second.received) == 1
    sender.close()
    first.transport.close()
    second.transport.close()


async def test_a_socket_that_cannot_be_polled_is_an_error_and_stays_open(path):
    receiver, sock = offload(path), bound()
    first = receiver.listen(sock, Protocol())
    with pytest.raises(LegError, match="polled"):
        receiver.listen(sock, Protocol())  # a second time
    assert sock.fileno() >= 0
    first.close()


async def test_what_a_datagram_starts_names_the_call_of_its_socket(path):
    sender = bound()
    protocols = []
    for call in ("first", "second"):
        with about(call, "leg"):
            protocols.append(listen(path, sock := bound(), noting=call_id.get))
        sender.sendto(b"one", sock.getsockname())
    await until(lambda: all(protocol.received for protocol in protocols))
    assert [protocol.noted for protocol in protocols] == [["first"], ["second"]]
    sender.close()
    for protocol in protocols:
        protocol.transport.close()


@pytest.mark.parametrize("thread", [False, True], ids=["loop", "thread"])
async def test_a_datagram_is_marked_with_its_call_while_it_is_processed(thread):
    memory = bytearray(BYTES)
    marks = Ledger(memoryview(memory), ctypes.addressof(ctypes.c_char.from_buffer(memory))).marks
    path = PacketPath(library(), opus(), scheduling=Scheduling(thread=thread), marks=marks)

    def noting():
        return read_marks(bytes(memory[:HEAD_BYTES])).main

    sender, sockets = bound(), [bound(), bound()]
    protocols = []
    for name, sock in zip(("one", "two"), sockets, strict=True):
        with about(name, "leg"):
            protocols.append(listen(path, sock, noting=noting))
    for sock in sockets:
        sender.sendto(b"data", sock.getsockname())
    await until(lambda: all(one.noted for one in protocols))
    assert [one.noted for one in protocols] == [[mark_of("one")], [mark_of("two")]]
    assert path.poller is not None
    path.poller.wait()
    assert read_marks(bytes(memory[:HEAD_BYTES])) == (NOTHING, NOTHING)
    for one in protocols:
        one.transport.close()
    sender.close()
    path.close()


async def test_the_other_sockets_are_served_when_what_takes_a_datagram_fails(path):
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    sockets, sender = [bound(), bound()], bound()

    def fail():
        raise ValueError("a defect")

    protocols = [listen(path, sock, noting=fail) for sock in sockets]
    for sock in sockets:
        sender.sendto(b"one", sock.getsockname())
    await until(lambda: all(protocol.received for protocol in protocols))
    assert len(failures) == 2
    sender.close()
    for protocol in protocols:
        protocol.transport.close()


async def test_sockets_may_be_closed_after_the_path():
    made = PacketPath(library(), opus())
    protocol = listen(made, bound())
    made.close()
    made.close()
    protocol.transport.close()


async def test_sockets_may_be_closed_after_the_path_has_begun_again():
    made = PacketPath(library(), opus())
    protocol = listen(made, bound())
    made.close()
    other = listen(made, bound())
    protocol.transport.close()
    other.transport.close()
    made.close()


async def test_what_takes_a_datagram_may_close_the_path():
    made = PacketPath(library(), opus())
    sender, protocols = bound(), [listen(made, bound(), noting=made.close) for _ in range(2)]
    for protocol in protocols:
        sender.sendto(b"one", protocol.transport.get_extra_info("sockname"))
    await until(lambda: any(protocol.received for protocol in protocols))
    for protocol in [*protocols]:
        protocol.transport.close()
    sender.close()


async def test_the_leases_of_a_transport_are_forgotten_once_closed(path):
    made = offload(path)
    made.close()
    made.close()
    assert not path._transports


async def test_a_path_with_another_clock_works_with_that_clock(path):
    other = PacketPath(library(), opus(), clock=lambda: time.monotonic() + 1000)
    protocol = listen(other, sock := bound())
    sender = bound()
    sender.sendto(b"one", sock.getsockname())
    await until(lambda: protocol.received)
    sender.close()
    protocol.transport.close()
    other.close()
