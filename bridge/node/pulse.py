"""What a node does once a second: measure its lag and load, and forget old calls."""

import asyncio
import logging

from bridge.metrics.registry import Metrics
from bridge.node.clock import Clock
from bridge.node.load import Load
from bridge.node.manager import Manager

log = logging.getLogger(__name__)

LAG_PROBE_SECONDS = 0.1
PROBES_PER_PULSE = 10


async def pulse(manager: Manager, metrics: Metrics, clock: Clock, load: Load) -> None:
    """Measure the loop's lag ten times a second and the load once a second, until cancelled."""
    loop = asyncio.get_running_loop()
    late = skipped = 0
    while True:
        for _ in range(PROBES_PER_PULSE):
            due = loop.time() + LAG_PROBE_SECONDS
            await asyncio.sleep(LAG_PROBE_SECONDS)
            load.probe(max(0.0, loop.time() - due))
        load.update(loop.time())
        try:
            manager.forget_ended(loop.time())
        except Exception:  # must not end the loop
            log.exception("pulse.failed")
        metrics.node.late_ticks(amount=clock.late_ticks - late)
        metrics.node.skipped_ticks(amount=clock.skipped_ticks - skipped)
        late, skipped = clock.late_ticks, clock.skipped_ticks
