"""A UDP socket that the packet path receives on, as asyncio's protocols know one."""

import asyncio
import socket
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from typing_extensions import override


class PacketSocket(asyncio.DatagramTransport):
    """Sends at once: what the kernel's buffer does not take is dropped and counted as `unsendable`.

    Args:
        sock: A bound socket, which this object closes.
        protocol: Gets each datagram that is not leased.
        loop: Calls `connection_lost` after `close`.
        discarded: Counts by discard reason.
        remove: Called before the socket is closed.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: asyncio.DatagramProtocol,
        *,
        loop: asyncio.AbstractEventLoop,
        discarded: dict[str, int],
        remove: Callable[[], None],
    ) -> None:
        sock.setblocking(False)  # noqa: FBT003
        super().__init__({"socket": sock, "sockname": sock.getsockname()})
        self.protocol = protocol
        self.run = copy_context().run
        """Calls the protocol in the context in which the socket was made, whose call and leg its logs name."""
        self._sock = sock
        self._loop = loop
        self._discarded = discarded
        self._remove = remove
        self._closed = False

    @property
    def fileno(self) -> int:
        """The file descriptor; -1 once closed."""
        return self._sock.fileno()

    @override
    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send a datagram; errors of the network go to the protocol."""
        if self._closed:
            return
        try:
            self._sock.sendto(data, addr)
        except BlockingIOError:
            self._discarded["unsendable"] += 1
        except OSError as error:
            self.protocol.error_received(error)

    @override
    def is_closing(self) -> bool:
        return self._closed

    @override
    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._remove()
        self._sock.close()
        self._loop.call_soon(self.protocol.connection_lost, None)

    @override
    def abort(self) -> None:
        self.close()
