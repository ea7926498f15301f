"""An event loop whose time is not the machine's: it jumps to the next timer when nothing else can go on.

For tests of timeouts and retries with fakes at both ends: they take no time, and need no constant
patched. Not for what waits for other threads or processes: while they work, hours may pass.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

from typing_extensions import override


class _Selector(selectors.DefaultSelector):
    """Returns at once; the time that it was to wait is `skipped`."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    @override
    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)  # no timer: only a socket or a thread can go on
        ready = super().select(0)
        if not ready:
            self.skipped += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose `time()` begins at 0."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    @override
    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._virtual.skipped


def virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test in a `VirtualTimeLoop`; its fixtures must not be async."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        async def main() -> None:
            await test(*arguments, **named)

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(main())

    return run
