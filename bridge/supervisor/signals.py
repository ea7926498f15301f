"""The signals of a process that is told to end: drain, then end at once."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

AGAIN_SECONDS: Final = 1.0
"""A second SIGTERM is one that comes this long after the first: some senders signal twice."""


def handle(*, drain: Callable[[], None], stop: Callable[[], None]) -> None:
    """Call `drain` on SIGTERM, and `stop` on a second one and on SIGINT; within the running loop."""
    loop = asyncio.get_running_loop()
    first: list[float] = []

    def terminate() -> None:
        if not first:
            first.append(loop.time())
            drain()
        elif loop.time() - first[0] >= AGAIN_SECONDS:
            stop()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, stop)


def leave_to_supervisor() -> None:
    """Do nothing on SIGTERM and SIGINT, which may go to every process of a group; children do not inherit it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
