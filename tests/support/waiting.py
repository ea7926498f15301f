"""Waiting for what cannot tell by itself that it has happened."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")
PATIENCE = 20.0
"""Seconds: a busy machine may give a process no CPU for some of them, and only a failure waits for all."""
MAX_SHOWN = 400
"""Characters of a value that a failure shows."""


async def until(condition: Callable[[], Answer], *, timeout: float = PATIENCE) -> Answer:
    """Wait until `condition()` is true, looking every millisecond; return what it was.

    Raises:
        TimeoutError: it did not become true; says what the condition is and what it saw last.
    """
    seen = None
    try:
        async with asyncio.timeout(timeout):
            while not (seen := condition()):
                await asyncio.sleep(0.001)
    except TimeoutError as error:
        raise TimeoutError(unmet(condition, seen, timeout)) from error
    return seen


async def until_answer(
    ask: Callable[[], Awaitable[Answer]], *, timeout: float = PATIENCE
) -> Answer:
    """Ask again and again until what comes back is true; return it.

    Each answer costs the bridge a request: the pauses grow from 10 ms to 40.

    Raises:
        TimeoutError: it did not become true; says what was asked and what came back last.
    """
    seen, pause = None, 0.01
    try:
        async with asyncio.timeout(timeout):
            while not (seen := await ask()):
                await asyncio.sleep(pause)
                pause = min(1.2 * pause, 0.04)
    except TimeoutError as error:
        raise TimeoutError(unmet(ask, seen, timeout)) from error
    return seen


def unmet(condition: Callable[[], object], seen: object, seconds: float) -> str:
    """Say what a condition that stayed false is, what it returned last, and what its names stand for."""
    try:
        source = inspect.getsource(condition).strip()
    except (OSError, TypeError):
        source = repr(condition)
    lines = [f"still false after {seconds:g} s: {source}", f"  it was {_shown(seen)}"]
    if inspect.isfunction(condition):
        names = inspect.getclosurevars(condition)
        lines += [f"  {name} = {_shown(value)}" for name, value in names.nonlocals.items()]
    return "\n".join(lines)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + " ..."
