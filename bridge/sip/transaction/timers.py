"""Timers that are driven by the caller's clock."""

import heapq
from collections.abc import Callable
from itertools import count


class Timer:
    """One scheduled action."""

    __slots__ = ("_timers", "action")

    def __init__(self, timers: "Timers", action: Callable[[float], None]) -> None:
        self.action: Callable[[float], None] | None = action
        self._timers = timers

    def cancel(self) -> None:
        """Cancel the action; safe to repeat."""
        if self.action is not None:
            self.action = None
            self._timers.cancelled()


class Timers:
    """A heap of timers; cancelled ones are removed when they are half of it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def at(self, due: float, action: Callable[[float], None]) -> Timer:
        """Call `action(now)` in the first `run` at or after `due`."""
        timer = Timer(self, action)
        heapq.heappush(self._heap, (due, next(self._order), timer))
        return timer

    def next(self) -> float | None:
        """Return when the first is due."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Run those that are due, in order of their times."""
        while (due := self.next()) is not None and due <= now:
            timer = heapq.heappop(self._heap)[2]
            action, timer.action = timer.action, None
            if action is not None:
                action(now)

    def cancelled(self) -> None:
        """Count a timer that was cancelled."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0
