"""A media socket as asyncio's protocols know one, whoever reads it: the event loop, or the packet path."""

import asyncio
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, NamedTuple, TypeAlias

from typing_extensions import override

from bridge.errors import LegError
from bridge.log import call_id
from bridge.rtc.limits import MAX_DATAGRAM, Address
from bridge.wire.crash_marks import CrashMarks

log = logging.getLogger(__name__)

MAX_AUDIO: Final = 10
"""Packets of audio that waited while a leg passed to another process, and are still heard: 200 ms. More would delay all that follows."""
MAX_READ: Final = 1024
"""Datagrams that waited in a socket, more than usual buffers take."""

_SO_MEMINFO: Final = 55
_SO_MEMINFO_FORMAT: Final = "9I"
_LEAST_BYTES: Final = 700
"""Of a socket's buffer, that the kernel needs for a datagram."""
_FULL: Final = 4096
"""Bytes of a socket's buffer in which no datagram finds room for sure."""

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
        self.discarded = discarded
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
            self.discarded["unsendable"] += 1
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
        # Of its own call, also where it is read again after a copy of the call was made.
        receive = marks.marked(transport.run(call_id.get), receive)
    loop.add_reader(fileno, transport.run, receive)
    return lambda: _stop(loop, fileno)


def _stop(loop: asyncio.AbstractEventLoop, fileno: int) -> None:
    if not loop.is_closed():
        loop.remove_reader(fileno)


class Backlog(NamedTuple):
    """What waited in a socket."""

    datagrams: list[tuple[bytes, Address]]
    """To be processed, in order, with their senders."""
    outdated: int
    """Packets of audio that are not."""


def after_backlog(read: Read, marks: CrashMarks | None = None) -> Read:
    """Return what reads a socket that another process has had, and begins with what has waited there; `marks` note that it does.

    A short silence changes nothing. Else nothing is taken out before the next turn of the event loop, when the adoption
    can no longer be refused. What is left out is counted as `outdated`; it is not authenticated: packets may be lost at any time.
    """
    begun = False

    def stop() -> None:
        """Do nothing yet."""

    def begin(transport: UdpSocket) -> Callable[[], None]:
        nonlocal begun, stop
        if begun or _few(transport.sock):
            begun = True
            return read(transport)
        first = start if marks is None else marks.marked(call_id.get(), start)
        handle = asyncio.get_running_loop().call_soon(first, transport)
        stop = handle.cancel
        return lambda: stop()

    def start(transport: UdpSocket) -> None:
        nonlocal begun, stop
        begun = True
        waited = read_backlog(transport.sock)
        transport.discarded["outdated"] += waited.outdated
        for data, sender in waited.datagrams:
            transport.run(transport.protocol.datagram_received, data, sender)
            if transport.is_closing():
                return
        try:
            stop = read(transport)
        except LegError:  # too late to refuse the leg, which ends as one whose peer is silent
            log.exception("media.socket_not_read")

    return begin


def read_backlog(sock: socket.socket) -> Backlog:
    """Read what waits in a socket, and leave out the audio but for the newest packets.

    Audio is the payload type that most packets have, so that digits (RFC 4733) are kept. If the socket had no room left, what
    has waited there is older than what was lost behind it, and no audio is kept.
    """
    newest = 0 if _full(sock) else MAX_AUDIO
    found = _read(sock)
    types = Counter(kind for data, _ in found if (kind := _payload_type(data)) is not None)
    if not types:
        return Backlog(found, 0)
    [(audio, count)] = types.most_common(1)
    left = outdated = max(0, count - newest)
    datagrams = []
    for one in found:
        if left and _payload_type(one[0]) == audio:
            left -= 1
        else:
            datagrams.append(one)
    return Backlog(datagrams, outdated)


def _read(sock: socket.socket) -> list[tuple[bytes, Any]]:
    found: list[tuple[bytes, Any]] = []
    with suppress(OSError):  # nothing waits, or an error of the network, which clears itself
        while len(found) < MAX_READ:
            found.append(sock.recvfrom(MAX_DATAGRAM + 1))
    return found


def _payload_type(data: bytes) -> int | None:
    """Return the payload type of an RTP packet, protected or not; None of any other datagram (RFC 5761 §4, RFC 7983)."""
    if len(data) < 2 or not 127 < data[0] < 192 or 191 < data[1] < 224:
        return None
    return data[1] & 0x7F


def _few(sock: socket.socket) -> bool:
    """Whether no more packets wait in a socket than are to be heard."""
    used, _ = _buffer(sock)
    return used < (MAX_AUDIO + 1) * _LEAST_BYTES


def _full(sock: socket.socket) -> bool:
    used, room = _buffer(sock)
    return used + _FULL > room


def _buffer(sock: socket.socket) -> tuple[int, int]:
    """Return how many bytes wait in a socket, at most, and for how many it has room."""
    try:
        size = struct.calcsize(_SO_MEMINFO_FORMAT)
        figures = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, size)
        used, room, *_ = struct.unpack(_SO_MEMINFO_FORMAT, figures)
    except (OSError, struct.error):  # a kernel that does not tell
        room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        used = room // 2
    return used, room
