"""Work for many calls, done in steps between which the event loop goes on, since audio does not wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

Made = TypeVar("Made")


async def in_steps(
    made: Iterable[Made],
    took: Callable[[float], None] = lambda seconds: None,
    *,
    at_once: int = 1,
) -> AsyncIterator[Made]:
    """Yield what an iterable makes, `at_once` items a step of the event loop.

    What it iterates over must not change meanwhile. `took` is called with the seconds of each step, in which
    what the caller does with an item is counted.
    """
    began, number = time.perf_counter(), 0
    for number, one in enumerate(made, 1):
        yield one
        if number % at_once == 0:
            took(time.perf_counter() - began)
            await asyncio.sleep(0)
            began = time.perf_counter()
    if number % at_once:
        took(time.perf_counter() - began)
