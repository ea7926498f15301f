"""A TCP connection between a client and a bridge that a test can cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_PIECE = 65_536


class Link:
    """Passes everything on; connections come and go."""

    def __init__(self, port: int) -> None:
        self._port = port
        """Where the bridge listens on loopback."""
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""
        """What clients are given in place of the bridge's URL."""
        self.opened = 0
        """How many connections there have been."""

    def cut(self) -> None:
        """End all connections without a word."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.opened += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        both = {writer, far_writer}
        self._writers |= both
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, far_writer))
            group.create_task(_copy(far_reader, writer))
        self._writers -= both


@asynccontextmanager
async def link(url: str) -> AsyncIterator[Link]:
    """Run one to the bridge of a `ws://` URL."""
    made = Link(urlsplit(url).port or 0)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made
        made.cut()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()
