"""A WebSocket by hand: reads only when told to, answers no ping unasked, and sends any nonsense.

No library does: each reads on in the background, and refuses to write what is wrong.
"""

import asyncio
import base64
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Final
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Closed(Exception):
    """The other side has closed the connection, or broken it off."""


class RawSocket:
    """One connection after its handshake; nothing is read but by `frame`."""

    def __init__(self, carrier: socket.socket, *, masks: bool) -> None:
        self._carrier = carrier
        self._masks = masks
        self._rest = b""
        # The loop keeps one writer per socket: of two at once, one would wait forever.
        self._writing = asyncio.Lock()

    async def frame(self) -> tuple[int, bytes]:
        """Return the next frame's opcode and payload.

        Raises:
            Closed: there is none.
        """
        head = await self._take(2)
        length = head[1] & 0x7F
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(await self._take(size))
        key = await self._take(4) if head[1] & 0x80 else bytes(4)
        return head[0] & 0x0F, _covered(await self._take(length), key)

    async def message(self) -> tuple[int, bytes]:
        """Return the next frame that is no ping, and answer those before it.

        Raises:
            Closed: there is none.
        """
        while True:
            opcode, payload = await self.frame()
            if opcode != PING:
                return opcode, payload
            await self.send(payload, PONG)

    async def send(self, payload: bytes, opcode: int = BINARY) -> None:
        """Send a whole frame."""
        await self.write(frame_of(payload, opcode, masked=self._masks))

    async def write(self, data: bytes) -> None:
        """Send bytes as they are, after those of writes before it.

        Raises:
            Closed: nobody takes them.
        """
        try:
            async with self._writing:
                await asyncio.get_running_loop().sock_sendall(self._carrier, data)
        except OSError as error:
            raise Closed from error

    def close(self) -> None:
        """Let go of the connection without a word."""
        self._carrier.close()

    async def ended(self) -> int | None:
        """Read on to the end; gives the code of the close frame, None when there was none.

        Raises:
            TimeoutError: it does not end.
        """
        code = None
        try:
            async with asyncio.timeout(20):
                while True:
                    opcode, payload = await self.frame()
                    if opcode == CLOSE:
                        code = int.from_bytes(payload[:2])
        except Closed:
            return code

    async def _take(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        while len(self._rest) < count:
            try:
                more = await loop.sock_recv(self._carrier, 4096)
            except OSError as error:
                raise Closed from error
            if not more:
                raise Closed
            self._rest += more
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def frame_of(payload: bytes, opcode: int, *, masked: bool, first: int = 0x80) -> bytes:
    """Write a frame (RFC 6455 section 5.2); `first` is its FIN and reserved bits."""
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes((first | opcode, mask | len(payload)))
    elif len(payload) < 65_536:
        head = struct.pack("!BBH", first | opcode, mask | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first | opcode, mask | 127, len(payload))
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + _covered(payload, key)


def _covered(payload: bytes, key: bytes) -> bytes:
    whole = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(whole)).to_bytes(len(payload))


@asynccontextmanager
async def raw_client(url: str) -> AsyncIterator[RawSocket]:
    """Connect to a `ws` URL for the length of a `with`."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    with socket.socket() as carrier:
        carrier.setblocking(False)
        await loop.sock_connect(carrier, (parts.hostname, parts.port))
        key = base64.b64encode(os.urandom(16)).decode()
        await loop.sock_sendall(
            carrier,
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode(),
        )
        assert (await _headers(carrier)).startswith(b"HTTP/1.1 101")
        yield RawSocket(carrier, masks=True)


class RawServer:
    """Where the bridge dials, one connection after the other."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._accepted: list[socket.socket] = []
        self.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/media"

    async def accept(self) -> RawSocket:
        """Take the next connection.

        Raises:
            TimeoutError: there is none.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            carrier, _ = await loop.sock_accept(self._listener)
            carrier.setblocking(False)
            self._accepted.append(carrier)
            head = (await _headers(carrier)).decode()
        [key] = [
            line.split(":", 1)[1].strip()
            for line in head.split("\r\n")
            if line.lower().startswith("sec-websocket-key:")
        ]
        accept = base64.b64encode(sha1((key + _GUID).encode()).digest()).decode()
        reply = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        await loop.sock_sendall(carrier, reply.encode())
        return RawSocket(carrier, masks=False)

    def close(self) -> None:
        for carrier in self._accepted:
            carrier.close()


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    """Listen for the length of a `with`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        server = RawServer(listener)
        try:
            yield server
        finally:
            server.close()


async def _headers(carrier: socket.socket) -> bytes:
    """Read to the end of the headers and no further."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = await asyncio.get_running_loop().sock_recv(carrier, 1)
        assert byte, "closed within the handshake"
        head += byte
    return head
