"""Waiting for what cannot tell by itself that it has happened."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, timeout: float = 5.0) -> None:
    """Wait until `condition()` is true, looking every millisecond.

    Raises:
        TimeoutError: it did not become true.
    """
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.001)
