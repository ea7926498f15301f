"""What waits in a socket while its leg passes: which of it is processed, and when."""

import asyncio
import socket

import pytest
from typing_extensions import override

from bridge.errors import LegError
from bridge.log import about
from bridge.rtc.udp_socket import (
    MAX_AUDIO,
    UdpSocket,
    after_backlog,
    read_backlog,
    read_by_the_loop,
)
from bridge.wire.crash_marks import WORDS, CrashMarks, mark_of
from tests.support.waiting import until

AUDIO, DIGITS = 111, 110
STUN, DTLS, REPORT = b"\0\1stun", b"\x15dtls", b"\x80\xc9rtcp"


def packet(number, kind=AUDIO, marker=False):
    return bytes([0x80, kind | marker << 7, number >> 8, number & 0xFF])


@pytest.fixture
def pair():
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
    yield sockets
    for sock in sockets:
        sock.close()


def waiting(pair, datagrams):
    for one in datagrams:
        pair[1].sendto(one, pair[0].getsockname())
    return read_backlog(pair[0])


def test_of_the_audio_the_newest_packets_are_kept(pair):
    found = waiting(pair, [packet(number, marker=number == 0) for number in range(100)])
    kept = [packet(number) for number in range(100 - MAX_AUDIO, 100)]
    assert found.datagrams == [(one, pair[1].getsockname()) for one in kept]
    assert found.outdated == 100 - MAX_AUDIO


def test_what_is_no_audio_is_kept_in_its_place(pair):
    others = [STUN, DTLS, REPORT, packet(0, DIGITS), b"", b"\x80"]
    sent = [*others, *(packet(number) for number in range(50)), STUN, packet(50)]
    found = waiting(pair, sent)
    newest = [packet(number) for number in range(51 - MAX_AUDIO, 50)]
    assert [data for data, _ in found.datagrams] == [*others, *newest, STUN, packet(50)]
    assert found.outdated == 51 - MAX_AUDIO


@pytest.mark.parametrize("sent", [[], [STUN], [packet(1)], [packet(1), packet(2)]])
def test_little_is_kept_whole(pair, sent):
    found = waiting(pair, sent)
    assert ([data for data, _ in found.datagrams], found.outdated) == (sent, 0)


def test_of_a_socket_that_overflowed_no_audio_is_kept(pair):
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least that there is
    found = waiting(pair, [STUN, *(packet(number) for number in range(100))])
    assert [data for data, _ in found.datagrams] == [STUN]
    assert found.outdated > 0


class Protocol(asyncio.DatagramProtocol):
    """Keeps what it gets; closes its socket at an alert."""

    def __init__(self):
        self.received = []

    @override
    def connection_made(self, transport):
        self.transport = transport

    @override
    def datagram_received(self, data, addr):
        self.received.append(data)
        if data == DTLS:
            self.transport.close()


def listen(sock, read=read_by_the_loop):
    protocol, discarded = Protocol(), {"outdated": 0, "unsendable": 0}
    transport = UdpSocket(sock, protocol, discarded=discarded, read=after_backlog(read))
    return transport, protocol, discarded


def send(pair, *datagrams):
    for one in datagrams:
        pair[1].sendto(one, pair[0].getsockname())


MANY = [packet(number) for number in range(MAX_AUDIO + 3)]
KEPT = MANY[-MAX_AUDIO:]


async def test_what_waited_comes_first_and_then_what_comes(pair):
    send(pair, *MANY)
    transport, protocol, discarded = listen(pair[0])
    transport.sendto(b"at once", pair[1].getsockname())
    assert pair[1].recv(100) == b"at once"
    assert protocol.received == []
    await until(lambda: bool(protocol.received))
    send(pair, packet(100))
    await until(lambda: packet(100) in protocol.received)
    assert protocol.received == [*KEPT, packet(100)]
    assert discarded["outdated"] == 3
    transport.pause()
    send(pair, *MANY)
    transport.resume()  # in the same process nothing is left out
    await until(lambda: protocol.received[-1] == MANY[-1])
    assert discarded["outdated"] == 3
    transport.close()


async def test_after_a_short_silence_a_socket_is_read_as_ever(pair):
    send(pair, *MANY[: MAX_AUDIO // 2])
    begun = []

    def read(transport):
        begun.append(transport)
        return lambda: None

    transport, _, discarded = listen(pair[0], read)
    assert (begun, discarded["outdated"]) == ([transport], 0)
    transport.close()


async def test_of_a_leg_that_is_refused_after_all_nothing_is_read(pair):
    send(pair, *MANY)
    transport, protocol, _ = listen(pair[0])
    transport.pause()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert protocol.received == []
    assert pair[0].recv(100) == MANY[0]
    transport.close()


async def test_nothing_is_processed_behind_what_closes_the_socket(pair):
    send(pair, STUN, DTLS, *MANY)
    _, protocol, _ = listen(pair[0])
    await until(lambda: bool(protocol.received))
    assert protocol.received == [STUN, DTLS]


async def test_what_waited_is_marked_as_work_for_the_call(pair):
    words = memoryview(bytearray(8 * WORDS)).cast("q")
    marked = []

    class Marked(Protocol):
        @override
        def datagram_received(self, data, addr):
            marked.append(words[0])

    send(pair, *MANY)
    with about("01AB", "leg"):
        read = after_backlog(read_by_the_loop, CrashMarks(words))
        counts = {"outdated": 0, "unsendable": 0}
        transport = UdpSocket(pair[0], Marked(), discarded=counts, read=read)
    await until(lambda: len(marked) == MAX_AUDIO)
    assert ({*marked}, words[0]) == ({mark_of("01AB")}, 0)
    transport.close()


async def test_a_socket_that_cannot_be_read_is_logged(pair, caplog):
    def refuse(_):
        raise LegError("no memory")

    send(pair, *MANY)
    transport, protocol, _ = listen(pair[0], refuse)
    await until(lambda: bool(protocol.received))
    assert "media.socket_not_read" in caplog.text
    transport.close()
