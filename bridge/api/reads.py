"""Bodies that are being read: how many at a time, and how long each may take."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from bridge.call.model import LineName
from bridge.errors import BridgeError, LimitExceeded, PayloadTooLarge

MAX_LARGE_READS: Final = 8


class RequestTimeout(BridgeError):
    """The body did not arrive in time."""

    code = "request_timeout"
    status = 408


class Reads:
    """Bodies of one kind that are being read, the oldest first."""

    def __init__(self, limit: int, *, seconds: float, largest_gives_way: bool = False) -> None:
        """Take the rules.

        Args:
            limit: how much may be under way: bodies, or bytes where `turn` is told sizes.
            seconds: how long each may take.
            largest_gives_way: At the limit the largest body is ended, of several the oldest, since
                who sends much slowly is no one to wait for; else the new one is refused.
        """
        self._limit = limit
        self._seconds = seconds
        self._largest_gives_way = largest_gives_way
        self._under_way: dict[asyncio.Timeout, int] = {}

    @asynccontextmanager
    async def turn(self, size: int = 1) -> AsyncIterator[None]:
        """Read a body within the `with`.

        Args:
            size: what the body counts for; at least 1.

        Raises:
            RequestTimeout: it took too long, or had to give way.
            LimitExceeded: there are too many.
        """
        while self._under_way and sum(self._under_way.values()) + size > self._limit:
            if not self._largest_gives_way:
                raise LimitExceeded(
                    "too many large bodies are being read; try again", limit="other"
                )
            largest = max(self._under_way, key=self._under_way.__getitem__)
            del self._under_way[largest]
            largest.reschedule(asyncio.get_running_loop().time())
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                self._under_way[limit] = max(size, 1)
                yield
        except TimeoutError:
            raise RequestTimeout("the request's body did not arrive in time") from None
        finally:
            self._under_way.pop(limit, None)


class LargeBodies:
    """The requests with large bodies of each line in progress on this node.

    Each may take ten times its size in memory.
    """

    def __init__(self, per_line: int) -> None:
        self._per_line = per_line
        self._in_progress: Counter[LineName] = Counter()

    def in_progress(self, line: LineName) -> int:
        """Return how many a line has in progress."""
        return self._in_progress[line]

    @contextmanager
    def one(self, line: LineName) -> Iterator[None]:
        """Count a request while it is in progress.

        Raises:
            LimitExceeded: the line has as many as it may.
        """
        if self._in_progress[line] >= self._per_line:
            raise LimitExceeded(
                "the line has as many large requests in progress as it may "
                "(limits.large_bodies_per_line)"
            )
        self._in_progress[line] += 1
        try:
            yield
        finally:
            self._in_progress[line] -= 1


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
