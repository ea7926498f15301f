"""TLS connections of Meta's SIP server: those it takes, and those it opens."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from tests.support.meta_sip.message import Message, take

NO_APPLICATION_PROTOCOL = bytes.fromhex("15 03 03 00 02 02 78")
"""The record of the fatal alert 120."""
_ALPN = 16
Received: TypeAlias = "Callable[[Link, Message], None]"


class Link:
    """One connection; each message that comes is given to `received`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: Received
    ) -> None:
        self._reader, self._writer, self._received = reader, writer, received
        self.address: tuple[str, int] = writer.get_extra_info("sockname")[:2]
        self.open = True

    async def read(self) -> None:
        """Take what comes until either side closes."""
        buffer = bytearray()
        try:
            while data := await self._reader.read(65_536):
                buffer += data
                while (message := take(buffer)) is not None:
                    self._received(self, message)
        except (OSError, ssl.SSLError):
            pass
        finally:
            self.close()

    def send(self, data: bytes) -> None:
        """Send a message; nothing on a connection that has closed."""
        if self.open:
            self._writer.write(data)

    def close(self) -> None:
        """Close it."""
        self.open = False
        self._writer.close()


class Links:
    """The listener and all connections of one double."""

    def __init__(self, received: Received, *, close_after: float = 0.0) -> None:
        self.port = 0
        self.taken: list[Link] = []
        """Those that were opened to it, in their order."""
        self.opened: list[Link] = []
        """Those that it has opened, in their order."""
        self.offered_alpn = 0
        """Connections refused because they offered a protocol."""
        self._received, self._close_after = received, close_after
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, context: ssl.SSLContext) -> None:
        """Take connections on a port of loopback; who offers ALPN gets alert 120."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept(self._listener, context))

    async def connect(
        self, host: str, port: int, *, name: str, context: ssl.SSLContext, source: str
    ) -> Link:
        """Open a connection from an address of loopback, and verify certificate and name.

        Raises:
            OSError: nobody listens, or (`ssl.SSLError`) the certificate is not good.
        """
        reader, writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=name, local_addr=(source, 0)
        )
        link = Link(reader, writer, self._received)
        self.opened.append(link)
        self._start(link.read())
        return link

    async def aclose(self) -> None:
        """Close everything."""
        if self._listener is not None:
            self._listener.close()
        for link in (*self.taken, *self.opened):
            link.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            self._start(self._greet(connection, context))

    async def _greet(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        """Look at the ClientHello, which Python's own server would answer whatever it offers."""
        loop = asyncio.get_running_loop()
        if _ALPN in _extensions(await _client_hello(connection)):
            self.offered_alpn += 1
            await loop.sock_sendall(connection, NO_APPLICATION_PROTOCOL)
            connection.close()
            return
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=context
            )
        except OSError:
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        link = Link(reader, writer, self._received)
        self.taken.append(link)
        if self._close_after:
            self._start(self._close_later(link))
        await link.read()

    async def _close_later(self, link: Link) -> None:
        await asyncio.sleep(self._close_after)
        link.close()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _client_hello(connection: socket.socket) -> bytes:
    """Return the first record of a connection without taking it; empty if it is closed."""
    while True:
        with suppress(BlockingIOError):
            data = connection.recv(65_536, socket.MSG_PEEK)
            if not data or len(data) >= 5 + int.from_bytes(data[3:5]):
                return data[5:]
        await asyncio.sleep(0.001)


def _extensions(hello: bytes) -> set[int]:
    """Return the kinds of extensions of a ClientHello (RFC 8446, section 4.1.2)."""
    found: set[int] = set()
    with suppress(IndexError):
        place = 4 + 2 + 32
        place += 1 + hello[place]
        place += 2 + int.from_bytes(hello[place : place + 2])
        place += 1 + hello[place] + 2
        while place + 4 <= len(hello):
            found.add(int.from_bytes(hello[place : place + 2]))
            place += 4 + int.from_bytes(hello[place + 2 : place + 4])
    return found
