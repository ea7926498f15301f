"""A deadline that moves."""

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `passed` when the deadline that was set last is reached."""

    def __init__(self, passed: Callable[[], None]) -> None:
        self._passed = passed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, when: float | None) -> None:
        """Set the deadline, in the loop's seconds; None clears it."""
        if self._timer is not None:
            if self._timer.when() == when:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = self._loop.call_at(when, self._reached)

    def _reached(self) -> None:
        self._timer = None
        self._passed()
