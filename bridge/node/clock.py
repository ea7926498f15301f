"""The node's 20 ms clock, in ten phases of 2 ms so that calls do not all wake at once.

To wake up costs as much as several ticks, so a phase is filled before the next one begins (`GATHERED`).
A phase that is late catches up at most `MAX_CATCH_UP` ticks, and skips and counts the rest. A phase without
members has no timer. A member that raises is logged once and removed, so that the others of its phase go on.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bridge.audio.frame import FRAME_SECONDS
from bridge.audio.tone import EUROPE, Ringback, RingTone
from bridge.call.bus.bus import Bus
from bridge.call.model import Cadence, LegId
from bridge.call.routing import TONE

log = logging.getLogger(__name__)

PHASES = 10
GATHERED = 16
"""Members of a phase, which one wake-up serves, before the next phase begins; with all phases that full, they are filled evenly."""
MAX_CATCH_UP = 3
BATCH_SECONDS = 0.4
"""Between two ticks of a batched member."""

TICKS_AT_ONCE = 4
"""Members called before the event loop does something else."""
BATCHES_AT_ONCE = 1
"""Likewise of batched members, whose ticks take twenty times as long."""

Tick: TypeAlias = Callable[[float], None]


@dataclass(slots=True, eq=False)
class _Phase:
    offset: float
    period: float = FRAME_SECONDS
    at_once: int = TICKS_AT_ONCE
    members: list[Tick] = field(default_factory=list)
    waiting: deque[Tick] = field(default_factory=deque)
    """Due, and not called yet."""
    due: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Clock:
    """Calls every member once every 20 ms, with the loop's time."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """Begin without members; `took` is called with the seconds that a phase's ticks have run."""
        self._loop = loop
        self._took = took
        self._phases = [_Phase(index * FRAME_SECONDS / PHASES) for index in range(PHASES)]
        self._batched = [
            _Phase(index * BATCH_SECONDS / PHASES, BATCH_SECONDS, BATCHES_AT_ONCE)
            for index in range(PHASES)
        ]
        self.late_ticks = 0
        """Ticks that were run late, to catch up."""
        self.skipped_ticks = 0
        """Ticks that were never run, because the node was too late."""

    def join(self, tick: Tick, *, batched: bool = False) -> None:
        """Call `tick` in a phase from now on; every `BATCH_SECONDS`, in the emptiest one, if `batched`."""
        phase = _emptiest(self._batched) if batched else self._next_phase()
        phase.members.append(tick)
        if phase.timer is None and not phase.waiting:
            now = self._loop.time()
            phase.due = now - now % phase.period + phase.period + phase.offset
            self._arm(phase)

    def leave(self, tick: Tick) -> None:
        """Stop calling `tick`; does nothing if it is not on the clock."""
        for phase in (*self._phases, *self._batched):
            if tick in phase.members:
                phase.members.remove(tick)
                phase.waiting = deque(one for one in phase.waiting if one != tick)
                if not phase.members and phase.timer is not None:
                    phase.timer.cancel()
                    phase.timer = None
                return

    def _next_phase(self) -> _Phase:
        unfilled = [phase for phase in self._phases if len(phase.members) < GATHERED]
        if unfilled:
            return max(unfilled, key=lambda phase: len(phase.members))
        return _emptiest(self._phases)

    def _arm(self, phase: _Phase) -> None:
        phase.timer = self._loop.call_at(phase.due, self._fire, phase)

    def _fire(self, phase: _Phase) -> None:
        now = self._loop.time()
        owed = max(1, int((now - phase.due) / phase.period) + 1)
        run = min(owed, MAX_CATCH_UP)
        self.late_ticks += run - 1
        self.skipped_ticks += owed - run
        phase.timer = None
        phase.due += owed * phase.period
        for _ in range(run):
            phase.waiting.extend(phase.members)
        self._call(phase)

    def _call(self, phase: _Phase) -> None:
        began, now = time.perf_counter(), self._loop.time()
        for _ in range(min(phase.at_once, len(phase.waiting))):
            tick = phase.waiting.popleft()
            try:
                tick(now)
            except Exception:
                log.exception("clock.member_failed")
                self.leave(tick)
            if not phase.waiting:
                break  # a member may have left
        self._took(time.perf_counter() - began)
        if phase.waiting:
            self._loop.call_soon(self._call, phase)
        elif phase.members and phase.timer is None:
            self._arm(phase)


def _emptiest(phases: list[_Phase]) -> _Phase:
    return min(phases, key=lambda phase: len(phase.members))


class BusClock:
    """A call's place on the clock."""

    def __init__(self, clock: Clock, tone: RingTone = EUROPE) -> None:
        """Begin off the clock; `tone` is the ring-back tone."""
        self._tone = tone
        self._rings = False
        self.bus = Bus(cadence_changed=self.follow)
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._cadence = Cadence.NEVER
        self._suspended = False

    def suspend(self) -> None:
        """Leave the clock until `resume`, whatever the bus needs."""
        self._suspended = True
        self.follow()

    def resume(self) -> None:
        """Be on the clock again as the bus needs."""
        self._suspended = False
        self.follow()

    def route(self, rows: Mapping[LegId, frozenset[LegId]]) -> None:
        """Replace the routing table; the ring-back tone is a source as long as anybody hears it."""
        now, rings = self._loop.time(), any(TONE in heard for heard in rows.values())
        if rings and not self._rings:
            self.bus.join(TONE, Ringback(self._tone), None)
        self.bus.route(rows, now)
        if self._rings and not rings:
            self.bus.leave(TONE, now)
        self._rings = rings
        self.follow()

    def flush(self) -> None:
        """Deliver to batched sinks all audio until now."""
        self.bus.flush(self._loop.time())

    def follow(self) -> None:
        """Join the clock, or leave it, as the bus's sinks now need."""
        wanted = Cadence.NEVER if self._suspended else self.bus.cadence
        if wanted is self._cadence:
            return
        ticks = {Cadence.BATCHED: self.bus.catch_up, Cadence.EVERY_FRAME: self.bus.tick}
        if before := ticks.get(self._cadence):
            self._clock.leave(before)
        self._cadence = wanted
        if after := ticks.get(wanted):
            self._clock.join(after, batched=wanted is Cadence.BATCHED)
