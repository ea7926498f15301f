"""Limits on request bodies that are being read, and the memory of those that were refused."""

import asyncio
import ctypes
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiohttp import web

from bridge.call.model import LineName
from bridge.errors import LimitExceeded, PayloadTooLarge, RequestTimeout

BODY_SECONDS: Final = 10.0
"""A body that takes longer to arrive is refused."""
BODY_BYTES: Final = 256 * 1024
LARGE_BODIES: Final = {"/call/play": 16 * 1024 * 1024}
"""Routes that carry sound in JSON, and how large their bodies may be: 12 MB in base64."""
MAX_BYTES: Final = max(BODY_BYTES, *LARGE_BODIES.values())
MAX_LARGE_READS: Final = 8
CHECK_SECONDS: Final = 30.0
WORTH_BYTES: Final = 16 * 1024 * 1024
"""Refused since the last time; less is not worth the while in which others wait for memory, about 25 ms for 150 MB."""


class Reads:
    """Bodies of one kind that are being read."""

    def __init__(self, limit: int, *, seconds: float, drop_largest: bool = False) -> None:
        """Limit the bodies, or their bytes where `turn` is passed sizes; `seconds` is the timeout of each.

        With `drop_largest` the limit ends the oldest of the largest bodies, rather than refuse the new
        one: a large body sent slowly is likely an attack.
        """
        self._limit = limit
        self._seconds = seconds
        self._drop_largest = drop_largest
        self._reading: dict[asyncio.Timeout, int] = {}
        self.dropped = 0
        """What was not read, or refused within its turn, altogether."""

    @asynccontextmanager
    async def turn(self, size: int = 1) -> AsyncIterator[None]:
        """Read and check a body within the `with`, which takes `size` of the limit.

        Raises:
            RequestTimeout: it took too long, or was dropped.
            LimitExceeded: there are too many.
        """
        while self._reading and sum(self._reading.values()) + size > self._limit:
            if not self._drop_largest:
                raise LimitExceeded("too many large bodies are being read; try again")
            largest = max(self._reading, key=self._reading.__getitem__)
            del self._reading[largest]
            largest.reschedule(asyncio.get_running_loop().time())
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                self._reading[limit] = max(size, 1)
                yield
        except BaseException as error:
            self.dropped += size
            if isinstance(error, TimeoutError):
                raise RequestTimeout("the request's body did not arrive in time") from None
            raise
        finally:
            self._reading.pop(limit, None)


class LargeBodies:
    """The requests with large bodies of each line in progress on this node.

    Each may take ten times its size in memory.
    """

    def __init__(self, per_line: int) -> None:
        self._per_line = per_line
        self.in_progress: Counter[LineName] = Counter()

    @contextmanager
    def one(self, line: LineName) -> Iterator[None]:
        """Count a request while it is in progress.

        Raises:
            LimitExceeded: the line is at its limit.
        """
        if self.in_progress[line] >= self._per_line:
            raise LimitExceeded(
                "the line has too many large requests in progress (limits.large_bodies_per_line)"
            )
        self.in_progress[line] += 1
        try:
            yield
        finally:
            self.in_progress[line] -= 1


async def read_at_most(request: web.Request, limit: int) -> bytes:
    """Read a body of at most `limit` bytes.

    Raises:
        PayloadTooLarge: it is larger, or its Content-Length is.
    """
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    pieces = bytearray()
    async for piece in request.content.iter_any():
        pieces += piece
        if len(pieces) > limit:
            raise too_large(limit)
    return bytes(pieces)


def too_large(limit: int) -> PayloadTooLarge:
    """Return the error of a body over a limit, in bytes."""
    return PayloadTooLarge(f"the request's body is larger than {limit // 1024} kB")


async def give_back(reads: Reads) -> None:
    """Trim the heap in a thread, from time to time, while many bytes of bodies have been dropped.

    The allocator keeps blocks that are freed between others: after a flood of large bodies, several hundred MB.
    """
    seen = reads.dropped
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        if reads.dropped - seen >= WORTH_BYTES:
            seen = reads.dropped
            await asyncio.to_thread(trim)


def trim() -> None:
    """Return free blocks to the system; does nothing where the C library cannot."""
    found = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if found is not None:
        found(0)
