"""A media socket as asyncio's protocols know one, whoever reads it: the event loop, or the packet path."""

import asyncio
import socket
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeAlias

from typing_extensions import override

from bridge.log import call_id
from bridge.rtc.limits import MAX_DATAGRAM
from bridge.wire.crash_marks import CrashMarks

Read: TypeAlias = Callable[["UdpSocket"], Callable[[], None]]
"""Begins to read a socket; returns what ends that again."""


class UdpSocket(asyncio.DatagramTransport):
    """A bound UDP socket.

    It sends at once: what the kernel's buffer does not take is dropped and counted as `unsendable`.

    Args:
        sock: A bound socket, which this object closes.
        protocol: Gets each datagram that comes.
        discarded: Counts by discard reason.
        read: Reads it, from now on.

    Raises:
        LegError: the system refuses to poll it; it stays open.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        *,
        discarded: dict[str, int],
        read: Read,
    ) -> None:
        sock.setblocking(False)  # noqa: FBT003
        super().__init__({"socket": sock, "sockname": sock.getsockname()})
        self.protocol = protocol
        self.sock = sock
        self.run = copy_context().run
        """Calls the protocol in the context in which the socket was made, whose call and leg its logs name."""
        self._loop = asyncio.get_running_loop()
        self._discarded = discarded
        self._read = read
        self._closed = False
        self._stop: Callable[[], None] | None = read(self)
        protocol.connection_made(self)

    @override
    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send a datagram; errors of the network go to the protocol. While it is paused nothing is sent."""
        if self._stop is None:
            return
        try:
            self.sock.sendto(data, addr)
        except BlockingIOError:
            self._discarded["unsendable"] += 1
        except OSError as error:
            self.protocol.error_received(error)

    def receive(self) -> None:
        """Take a datagram that has come."""
        try:
            data, sender = self.sock.recvfrom(MAX_DATAGRAM + 1)
        except BlockingIOError:
            return
        except OSError as error:
            self.protocol.error_received(error)
            return
        self.protocol.datagram_received(data, sender)

    def pause(self) -> None:
        """Neither read nor send any more; what comes waits in the kernel. Safe to repeat."""
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def resume(self) -> None:
        """Go on after `pause`.

        Raises:
            LegError: the system refuses to poll it.
        """
        if self._stop is None and not self._closed:
            self._stop = self._read(self)

    def release(self) -> socket.socket:
        """Leave the socket to the caller, open."""
        self.pause()
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self.protocol.connection_lost, None)
        return self.sock

    @override
    def is_closing(self) -> bool:
        return self._closed

    @override
    def close(self) -> None:
        if not self._closed:
            self.release().close()

    @override
    def abort(self) -> None:
        self.close()


def read_by_the_loop(
    transport: UdpSocket, *, marks: CrashMarks | None = None
) -> Callable[[], None]:
    """Read a socket whenever the event loop finds something in it (`Read`); `marks` note that it does."""
    loop, fileno = asyncio.get_running_loop(), transport.sock.fileno()
    receive = transport.receive
    if marks is not None:
        receive = marks.marked(call_id.get(), receive)
    loop.add_reader(fileno, transport.run, receive)
    return lambda: _stop(loop, fileno)


def _stop(loop: asyncio.AbstractEventLoop, fileno: int) -> None:
    if not loop.is_closed():
        loop.remove_reader(fileno)
