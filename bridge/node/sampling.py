"""Samples every live call once a second, each at its own moment of the second.

All at once would stop the event loop for longer the more calls there are, and audio with it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bridge.node.runner import CallRunner

log = logging.getLogger(__name__)

PERIOD: Final = 1.0
SLOTS: Final = 50
"""Of a second."""
LEGS_AT_ONCE: Final = 4
"""Legs sampled before the event loop does something else; a call is sampled whole."""


@dataclass(slots=True, eq=False)
class _Slot:
    offset: float
    runners: list[CallRunner] = field(default_factory=list)
    waiting: deque[CallRunner] = field(default_factory=deque)
    """Due, and not sampled yet."""
    timer: asyncio.TimerHandle | None = None
    fired_at: float = -PERIOD


class Sampling:
    """Calls `sample` with each call and the loop's time, about once a second."""

    def __init__(
        self,
        sample: Callable[[CallRunner, float], None],
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """Begin without calls; `took` is called with the seconds that each step has run."""
        self._sample = sample
        self._took = took
        self._loop = asyncio.get_running_loop()
        self._slots = [_Slot(index * PERIOD / SLOTS) for index in range(SLOTS)]

    def join(self, runner: CallRunner) -> None:
        """Sample a call from now on, in the slot that has the fewest."""
        slot = min(self._slots, key=lambda candidate: len(candidate.runners))
        slot.runners.append(runner)
        if slot.timer is None and not slot.waiting:
            self._arm(slot)

    def leave(self, runner: CallRunner) -> None:
        """Stop sampling a call; does nothing if it is not sampled."""
        for slot in self._slots:
            if runner in slot.runners:
                slot.runners.remove(runner)
                if runner in slot.waiting:
                    slot.waiting.remove(runner)
                if not slot.runners and slot.timer is not None:
                    slot.timer.cancel()
                    slot.timer = None
                return

    def _arm(self, slot: _Slot) -> None:
        now = self._loop.time()
        left = (slot.offset - now) % PERIOD
        # A timer may be a millisecond early, and is not to fire twice then.
        if now + left - slot.fired_at < PERIOD / 2:
            left += PERIOD
        slot.timer = self._loop.call_at(now + left, self._fire, slot)

    def _fire(self, slot: _Slot) -> None:
        slot.timer = None
        slot.fired_at = self._loop.time()
        slot.waiting.extend(slot.runners)
        self._step(slot)

    def _step(self, slot: _Slot) -> None:
        began, now, legs = time.perf_counter(), self._loop.time(), 0
        while slot.waiting and legs < LEGS_AT_ONCE:
            runner = slot.waiting.popleft()
            legs += max(1, runner.leg_count)
            try:
                self._sample(runner, now)
            except Exception:  # must not end the sampling of others
                log.exception("sample.failed", extra={"call": runner.facts.call_id})
        self._took(time.perf_counter() - began)
        if slot.waiting:
            self._loop.call_soon(self._step, slot)
        elif slot.runners and slot.timer is None:
            self._arm(slot)
