"""An event loop whose time is not the machine's: it jumps to the next timer when nothing else can go on.

Tests marked `virtual_time` run in it: minutes of a call take a moment, and no constant is patched.
Sockets between objects of the test's own process work as ever, as do threads of its executors: while
they work, time stands still. Not for what waits for other processes: hours may pass meanwhile.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from typing_extensions import override

REAL_SECONDS = 0.001
"""How long a thread at work is waited for before another look."""
LONG_SECONDS = 0.05
"""Before a longer jump the kernel gets a moment to deliver what was sent."""


class _Selector(selectors.DefaultSelector):
    """Returns at once; the time that it was to wait is `skipped`."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.at_work: list[Callable[[], bool]] = []

    @override
    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)  # no timer: only a socket or a thread can go on
        ready = super().select(0)
        if timeout <= 0:  # something else is ready
            return ready
        while not ready and any(works() for works in self.at_work):
            ready = super().select(REAL_SECONDS)
        if not ready and timeout > LONG_SECONDS:
            ready = super().select(REAL_SECONDS)
        if not ready:
            self.skipped += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose `time()` begins at 0."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        self._running: set[asyncio.Future[Any]] = set()
        super().__init__(self._virtual)
        self.stand_still_while(lambda: bool(self._running))

    @override
    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._virtual.skipped

    def block(self, seconds: float) -> None:
        """Let time pass in which nothing else can run, as in a call that blocks."""
        self._virtual.skipped += seconds

    def stand_still_while(self, works: Callable[[], bool]) -> None:
        """Let no time pass while `works()`: a thread of no executor is busy."""
        self._virtual.at_work.append(works)

    @override
    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Any, *args: Any
    ) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future


def monotonic() -> float:
    """Return the seconds of the running loop where time is virtual, else the machine's, exactly."""
    loop = asyncio.get_running_loop()
    return loop.time() if isinstance(loop, VirtualTimeLoop) else time.monotonic()
