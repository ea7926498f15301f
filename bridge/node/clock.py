"""The node's 20 ms clock, in ten phases of 2 ms so that calls do not all wake at once.

A phase that is late catches up at most `MAX_CATCH_UP` ticks, and skips and counts the rest. A phase without
members has no timer. A member that raises is logged once and removed, so that the others of its phase go on.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from bridge.audio.frame import FRAME_SECONDS

log = logging.getLogger(__name__)

PHASES = 10
MAX_CATCH_UP = 3
BATCH_SECONDS = 0.2
"""Between two ticks of a batched member."""

Tick: TypeAlias = Callable[[float], None]


@dataclass(slots=True, eq=False)
class _Phase:
    offset: float
    period: float = FRAME_SECONDS
    members: list[Tick] = field(default_factory=list)
    due: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Clock:
    """Calls every member once every 20 ms, with the loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._phases = [_Phase(index * FRAME_SECONDS / PHASES) for index in range(PHASES)]
        self._batched = [
            _Phase(index * BATCH_SECONDS / PHASES, BATCH_SECONDS) for index in range(PHASES)
        ]
        self.late_ticks = 0
        """Ticks that were run late, to catch up."""
        self.skipped_ticks = 0
        """Ticks that were never run, because the node was too late."""

    def join(self, tick: Tick, *, batched: bool = False) -> None:
        """Call `tick` in the emptiest phase from now on; every `BATCH_SECONDS` if `batched`."""
        phases = self._batched if batched else self._phases
        phase = min(phases, key=lambda candidate: len(candidate.members))
        phase.members.append(tick)
        if phase.timer is None:
            now = self._loop.time()
            phase.due = now - now % phase.period + phase.period + phase.offset
            self._arm(phase)

    def leave(self, tick: Tick) -> None:
        """Stop calling `tick`; does nothing if it is not on the clock."""
        for phase in (*self._phases, *self._batched):
            if tick in phase.members:
                phase.members.remove(tick)
                if not phase.members and phase.timer is not None:
                    phase.timer.cancel()
                    phase.timer = None
                return

    def _arm(self, phase: _Phase) -> None:
        phase.timer = self._loop.call_at(phase.due, self._fire, phase)

    def _fire(self, phase: _Phase) -> None:
        now = self._loop.time()
        owed = max(1, int((now - phase.due) / phase.period) + 1)
        run = min(owed, MAX_CATCH_UP)
        self.late_ticks += run - 1
        self.skipped_ticks += owed - run
        for _ in range(run):
            for tick in tuple(phase.members):
                try:
                    tick(now)
                except Exception:
                    log.exception("clock.member_failed")
                    if tick in phase.members:
                        phase.members.remove(tick)
        phase.due += owed * phase.period
        if phase.members:
            self._arm(phase)
        else:
            phase.timer = None
