"""Server-sent events as an answer.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import hdrs, web

from bridge.api.server.middleware import allow_page
from bridge.api.server.operation import Context
from bridge.api.server.services import NODE

STUCK_SECONDS: Final = 10.0
"""A client that reads nothing for so long is disconnected."""
CONTENT_TYPE: Final = "text/event-stream"
WRITE_BUFFER: Final = 64 * 1024
HEADERS: Final = {
    "Content-Type": CONTENT_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
QUIET: Final = b": nothing new\n\n"


async def send(context: Context, pieces: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """Send pieces, each a whole event or comment, until there are no more or the client has gone."""
    request = context.http
    response = web.StreamResponse(headers=HEADERS)
    allow_page(request, response)
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=WRITE_BUFFER)
    try:
        async with aclosing(pieces):
            await _write(response, b"retry: 2000\n\n")
            async for piece in pieces:
                await _write(response, piece)
    except TimeoutError:
        context[NODE].metrics.events.event_stream_cut()
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass  # the client has gone
    return response


def event(data: bytes, *, number: int | None = None) -> bytes:
    """Return an event without a name, so that `onmessage` gets it; `data` has no line break."""
    return (b"" if number is None else b"id: %d\n" % number) + b"data: %b\n\n" % data


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(STUCK_SECONDS):
        await response.write(piece)
