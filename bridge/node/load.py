"""The load of this node: measured here, rated by `call.load`, applied to encoders and metrics, once a second."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bridge.audio.codec.encoder_level import EncoderBudget, EncoderLevel
from bridge.call.load import LoadPolicy
from bridge.metrics.registry import Metrics
from bridge.node.clock import Clock
from bridge.node.manager import Manager

log = logging.getLogger(__name__)

SCHEDULED: Final = Path("/proc/thread-self/schedstat")
"""Of the calling thread: nanoseconds that it ran, and that it was ready to run and had no core (proc(5))."""


LAG_PROBE_SECONDS = 0.1
PROBES_PER_SECOND = 10


def seconds_waited() -> float:
    """Return how long this thread has waited for a core; 0 where the kernel does not tell."""
    try:
        return int(SCHEDULED.read_text("ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Load:
    """The lag of a process's event loop and its share of a core."""

    def __init__(
        self,
        *,
        encoder_budget: EncoderBudget,
        metrics: Metrics,
        overload_seconds: float,
        processor: Callable[[], float] = time.process_time,
        waited: Callable[[], float] = seconds_waited,
    ) -> None:
        """Start to measure.

        New calls are refused after `overload_seconds` seconds of overload, 0 for never; `processor` returns the
        processor seconds used so far, `waited` those that the calling thread has waited for a core.
        """
        self._encoder_budget = encoder_budget
        self._metrics = metrics
        self._policy = LoadPolicy(overload_seconds=overload_seconds)
        self._processor = processor
        self._waited = waited
        self._worst_lag = 0.0
        self.lag = 0.0
        """How late the loop ran its timers before the last `update`, at worst; seconds."""
        self.cpu = 0.0
        """The share of a core that the process used before the last `update`."""
        self._before: tuple[float, float, float] | None = None
        metrics.node.set_encoder_level(encoder_budget.level)

    @property
    def level(self) -> EncoderLevel:
        """What encoders may cost now."""
        return self._policy.level

    @property
    def refusing(self) -> bool:
        """Whether the node is too busy for new calls."""
        return self._policy.refusing

    @property
    def refusal(self) -> str:
        """Why it takes no new calls; empty while it does."""
        if not self.refusing:
            return ""
        if self._policy.starved:
            return "the machine is too busy: what else runs on it leaves the bridge too little of a core to take new calls"
        return "the bridge has too much to do to take new calls"

    def probe(self, lag: float) -> None:
        """Record how late the loop ran a timer; to be called several times a second."""
        self._metrics.node.loop_lag(lag)
        self._worst_lag = max(self._worst_lag, lag)

    def update(self, now: float) -> None:
        """Rate the load since the last call; to be called once a second."""
        used, waited = self._processor(), self._waited()
        if self._before is not None and now > self._before[0]:
            seconds = now - self._before[0]
            self.cpu = (used - self._before[1]) / seconds
            self._rate(self.cpu, (waited - self._before[2]) / seconds, now)
        self._before = (now, used, waited)
        self.lag, self._worst_lag = self._worst_lag, 0.0

    def _rate(self, cpu: float, waited: float, now: float) -> None:
        policy = self._policy
        was: tuple[EncoderLevel, bool] = (policy.level, policy.refusing)
        policy.update(lag=self._worst_lag, cpu=cpu, waited=waited, now=now)
        if (policy.level, policy.refusing) == was:
            return
        self._encoder_budget.level = policy.level
        self._metrics.node.set_encoder_level(policy.level)
        log.warning(
            "node.load",
            extra={
                "encoder_level": policy.level.name.lower(),
                "refusing": policy.refusing,
                "lag_seconds": round(self._worst_lag, 3),
                "cpu": round(cpu, 2),
                "waited_for_cpu": round(waited, 2),
            },
        )


async def monitor(manager: Manager, metrics: Metrics, clock: Clock, load: Load) -> None:
    """Measure the loop's lag ten times a second and the load once a second, until cancelled."""
    loop = asyncio.get_running_loop()
    late = skipped = 0
    while True:
        for _ in range(PROBES_PER_SECOND):
            due = loop.time() + LAG_PROBE_SECONDS
            await asyncio.sleep(LAG_PROBE_SECONDS)
            load.probe(max(0.0, loop.time() - due))
        load.update(loop.time())
        try:
            manager.forget_ended(loop.time())
        except Exception:  # must not end the loop
            log.exception("calls.cleanup_failed")
        metrics.node.late_ticks(amount=clock.late_ticks - late)
        metrics.node.skipped_ticks(amount=clock.skipped_ticks - skipped)
        late, skipped = clock.late_ticks, clock.skipped_ticks
