"""Connected sockets of a node in a test: received by the compiled packet path or by Python's, without an event loop."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

from bridge.audio.codec.opus import Opus
from bridge.rtc.packet_path import PacketPath
from bridge.rtp.session import RtpSession
from tests.support.packets.packet_path import AFTER_THE_TEST, CHOSEN, compiled_path

SEND_BUFFER = 4 << 20
NO_LIMIT = 1 << 40


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets that keep datagrams whole and take hundreds before one is read."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in pair:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return pair


def arrived(sock: socket.socket) -> Iterator[bytes]:
    """Return what has arrived at a socket."""
    while True:
        try:
            yield sock.recv(2048)
        except BlockingIOError:
            return


class Sockets:
    """The sockets of a node, and its clock; polled when `poll` is called, not by an event loop.

    A packet path with a thread reads them at once, at the time that the clock has then.
    """

    def __init__(self, opus: Opus, *, compiled: bool) -> None:
        self._now = 0.0
        self.path: PacketPath | None = None
        self._loop: Any = None
        self._unpolled: int | None = None
        if compiled:
            self.path = compiled_path(opus, lambda: self._now)
            self._loop = SimpleNamespace(
                add_reader=lambda _fd, _read: None,
                remove_reader=lambda _fd: None,
                call_soon=lambda _function, *_arguments: None,
            )

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self._now = now
        if self.path is not None and self.path.poller is not None:
            self.path.poller.set_clock(now)

    def listen(self, sock: socket.socket, protocol: asyncio.DatagramProtocol, offload: Any) -> Any:
        """Receive on a socket by the packet path."""
        asyncio._set_running_loop(self._loop)
        try:
            return offload.listen(sock, protocol)
        finally:
            asyncio._set_running_loop(None)
            self.now = self._now

    def poll(self) -> None:
        """Process a datagram of each socket that has one; with a thread, after it has read all."""
        if self.path is None or self.path.poller is None:
            return
        self.path.poller.wait()
        if self._unpolled is None:
            self.path.poll()
            return
        self._unpolled += 1
        self.path.poller.set_clock(self.now)
        self.path.poller.begin_turn()

    def stop(self) -> None:
        """Let Python process nothing until `resume`: the packet path goes on alone, as its thread does."""
        self._unpolled = 0

    def resume(self) -> None:
        """Process what the packet path has left meanwhile."""
        turns, self._unpolled = self._unpolled or 0, None
        for _ in range(turns):
            self.poll()

    def close(self) -> None:
        """Stop receiving."""
        if self.path is not None:
            self.path.close()


class Connected(asyncio.DatagramProtocol):
    """What a session sends, on the path that the test takes (`packet_path.CHOSEN`).

    On the compiled one, the session receives and sends by a pair of sockets, without SRTP: what is given to
    `receive_rtp` arrives at one of them.
    """

    def __init__(
        self, session: RtpSession, opus: Opus, transmit_rtcp: Callable[[bytes], None]
    ) -> None:
        self._packets: list[bytes] = []
        self._remote: socket.socket | None = None
        if os.environ.get(CHOSEN) not in ("compiled", "thread"):
            session.set_transmit(self._packets.append, transmit_rtcp)
            return
        self._sockets = sockets = Sockets(opus, compiled=True)
        assert sockets.path is not None
        self._receive = session.receive_rtp
        offload: Any = sockets.path.transport(
            receive=self._receive, discarded={"unsendable": 0}, limit=NO_LIMIT, secured=False
        )
        ours, self._remote = socket_pair()
        handle = sockets.listen(ours, self, offload)
        offload.set_packed_route(ours.fileno(), b"")
        session.set_transmit(self._transmit, transmit_rtcp, offload)
        session.receive_rtp = self._deliver
        AFTER_THE_TEST.extend((sockets.close, self._remote.close, handle.close))

    @property
    def packets(self) -> list[bytes]:
        """All that was sent, in order."""
        if self._remote is not None:
            self._packets.extend(arrived(self._remote))
        return self._packets

    @override
    def datagram_received(self, data: bytes, _addr: Any) -> None:
        """Process what the packet path has left."""
        self._receive(data, self._sockets.now)

    def _deliver(self, data: bytes, now: float) -> None:
        assert self._remote is not None
        self._sockets.now = now
        self._remote.send(data)
        self._sockets.poll()

    def _transmit(self, packet: bytes) -> None:
        self.packets.append(packet)
