"""Bodies that are being read: how many at a time, and how long each may take."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from bridge.errors import BridgeError, LimitExceeded, PayloadTooLarge

LARGE_READS: web.AppKey["Reads"] = web.AppKey("large_reads")
"""Bodies of those with a key that are larger than most routes take."""
MAX_LARGE_READS: Final = 8


class RequestTimeout(BridgeError):
    """The body did not arrive in time."""

    code = "request_timeout"
    status = 408


class Reads:
    """Bodies of one kind that are being read, the oldest first."""

    def __init__(self, limit: int, *, seconds: float, oldest_gives_way: bool = False) -> None:
        """Take the rules.

        Args:
            limit: how many may be under way.
            seconds: how long each may take.
            oldest_gives_way: At the limit the oldest one is ended, since who sends slowly is no
                one to wait for; else the new one is refused.
        """
        self._limit = limit
        self._seconds = seconds
        self._oldest_gives_way = oldest_gives_way
        self._under_way: dict[asyncio.Timeout, None] = {}

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Read a body within the `with`.

        Raises:
            RequestTimeout: it took too long, or had to give way.
            LimitExceeded: there are too many.
        """
        if len(self._under_way) >= self._limit:
            if not self._oldest_gives_way:
                raise LimitExceeded(
                    "too many large bodies are being read; try again", limit="other"
                )
            oldest = next(iter(self._under_way))
            del self._under_way[oldest]
            oldest.reschedule(asyncio.get_running_loop().time())
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                self._under_way[limit] = None
                yield
        except TimeoutError:
            raise RequestTimeout("the request's body did not arrive in time") from None
        finally:
            self._under_way.pop(limit, None)


async def read_at_most(request: web.Request, most: int) -> bytes:
    """Read a body as it is, a piece at a time.

    Raises:
        PayloadTooLarge: it is larger, or says that it will be.
    """
    if (request.content_length or 0) > most:
        raise _too_large(most)
    pieces = bytearray()
    async for piece in request.content.iter_any():
        pieces += piece
        if len(pieces) > most:
            raise _too_large(most)
    return bytes(pieces)


def _too_large(most: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the request's body is larger than {most // 1024} kB")
