"""A SIP peer of the tests: sends and receives raw messages over UDP, TCP or TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

OPTIONS = (
    b"OPTIONS sip:bridge SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@test>;tag=1\r\nTo: <sip:b@test>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class StreamPeer:
    """A server of TCP or TLS, and what it got."""

    def __init__(self) -> None:
        self.port = 0
        self.got = bytearray()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(65536):
                self.got += data
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def stream_peer(context: ssl.SSLContext | None = None) -> AsyncIterator[StreamPeer]:
    """Run a peer on a port of loopback."""
    peer = StreamPeer()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=context)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for writer in peer.writers:
            writer.close()


@asynccontextmanager
async def running(sockets: Any) -> AsyncIterator[None]:
    """Run SIP sockets, or an agent, until the block is left."""
    opened = asyncio.Event()
    task = asyncio.create_task(sockets.run(opened.set))
    waiting = asyncio.create_task(opened.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            await task
        yield
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
