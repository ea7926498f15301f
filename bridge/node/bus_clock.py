"""Keeps a call's bus on the node's clock, at the cadence its sinks need."""

import asyncio
from collections.abc import Mapping

from bridge.audio.ringback import EUROPE, Ringback, RingTone
from bridge.call.bus.bus import Bus
from bridge.call.model import Cadence, LegId
from bridge.call.routing import TONE
from bridge.node.clock import Clock


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
        wanted = self.bus.cadence
        if wanted is self._cadence:
            return
        ticks = {Cadence.BATCHED: self.bus.catch_up, Cadence.EVERY_FRAME: self.bus.tick}
        if before := ticks.get(self._cadence):
            self._clock.leave(before)
        self._cadence = wanted
        if after := ticks.get(wanted):
            self._clock.join(after, batched=wanted is Cadence.BATCHED)
