"""Waiting for what cannot tell by itself that it has happened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")


async def until(condition: Callable[[], object], *, timeout: float = 5.0) -> None:
    """Wait until `condition()` is true, looking every millisecond.

    Raises:
        TimeoutError: it did not become true.
    """
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.001)


async def until_answer(ask: Callable[[], Awaitable[Answer]], *, timeout: float = 5.0) -> Answer:
    """Ask again and again, every 10 ms, until what comes back is true; return it.

    Raises:
        TimeoutError: it did not become true.
    """
    async with asyncio.timeout(timeout):
        while not (answer := await ask()):
            await asyncio.sleep(0.01)
    return answer
