"""Large bodies of those with a key: how many are read at a time."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

from bridge.api.server.reads import MAX_LARGE_READS

MANY = 16 * 1024 * 1024


@asynccontextmanager
async def sending(client, headers):
    """Begin to send a sound with the demo key, and send no more of it."""
    server = client.http.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    lines = ["POST /call/play HTTP/1.1", "Host: localhost", "token: demo", headers]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        yield reader
    finally:
        writer.close()


async def answer(reader):
    async with asyncio.timeout(5):
        return await reader.readuntil(b"\r\n\r\n")


async def test_so_many_large_bodies_are_read_at_a_time_and_small_ones_always(client):
    async with AsyncExitStack() as stack:
        for headers in [f"Content-Length: {MANY}", "Transfer-Encoding: chunked"] * 4:
            await stack.enter_async_context(sending(client, headers))
        assert MAX_LARGE_READS == 8

        async def refused():
            one = await stack.enter_async_context(sending(client, f"Content-Length: {MANY}"))
            return await answer(one)

        head = await refused()
        assert b" 503 " in head.splitlines()[0]
        assert b"Retry-After" in head
        small = await client.post("/call/play", {"callId": "0" * 32})
        assert small.status in (400, 404)
