"""The load of this node: measured here, rated by `call.load`, applied to encoders and metrics."""

import logging
import time
from collections.abc import Callable

from bridge.audio.encoder_level import EncoderBudget, EncoderLevel
from bridge.call.load import LoadPolicy
from bridge.metrics.registry import Metrics

log = logging.getLogger(__name__)


class Load:
    """The lag of a process's event loop and its share of a core."""

    def __init__(
        self,
        *,
        encoder_budget: EncoderBudget,
        metrics: Metrics,
        overload_seconds: float,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        """Start to measure.

        New calls are refused after `overload_seconds` seconds of overload, 0 for never; `processor` returns the
        processor seconds used so far.
        """
        self._encoder_budget = encoder_budget
        self._metrics = metrics
        self._policy = LoadPolicy(overload_seconds=overload_seconds)
        self._processor = processor
        self._worst_lag = 0.0
        self.lag = 0.0
        """How late the loop ran its timers before the last `update`, at worst; seconds."""
        self.cpu = 0.0
        """The share of a core that the process used before the last `update`."""
        self._before: tuple[float, float] | None = None
        metrics.node.set_encoder_level(encoder_budget.level)

    @property
    def level(self) -> EncoderLevel:
        """What encoders may cost now."""
        return self._policy.level

    @property
    def refusing(self) -> bool:
        """Whether the node is too busy for new calls."""
        return self._policy.refusing

    def probe(self, lag: float) -> None:
        """Record how late the loop ran a timer; to be called several times a second."""
        self._metrics.node.loop_lag(lag)
        self._worst_lag = max(self._worst_lag, lag)

    def update(self, now: float) -> None:
        """Rate the load since the last call; to be called once a second."""
        used = self._processor()
        if self._before is not None and now > self._before[0]:
            self.cpu = (used - self._before[1]) / (now - self._before[0])
            self._rate(self.cpu, now)
        self._before = (now, used)
        self.lag, self._worst_lag = self._worst_lag, 0.0

    def _rate(self, cpu: float, now: float) -> None:
        policy = self._policy
        was: tuple[EncoderLevel, bool] = (policy.level, policy.refusing)
        policy.update(lag=self._worst_lag, cpu=cpu, now=now)
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
            },
        )
