"""How hard this node works: measured here, judged by `call.load`, told to encoders and metrics."""

import logging
import time
from collections.abc import Callable

from bridge.audio.encoder_level import EncoderBudget, EncoderLevel
from bridge.call.load import LoadPolicy
from bridge.metrics.registry import Metrics

log = logging.getLogger(__name__)


class Load:
    """The load of one process: the lag of its event loop, and its share of a core."""

    def __init__(
        self,
        *,
        encoder_budget: EncoderBudget,
        metrics: Metrics,
        patience: float,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        """Begin to watch.

        Args:
            encoder_budget: Its level is set.
            metrics: Where lag and level are recorded.
            patience: Seconds of overload after which new calls are refused; 0 = never.
            processor: Seconds of processor time that the process has used.
        """
        self._encoder_budget = encoder_budget
        self._metrics = metrics
        self._policy = LoadPolicy(patience=patience)
        self._processor = processor
        self._worst_lag = 0.0
        self._before: tuple[float, float] | None = None
        metrics.set_encoder_level(encoder_budget.level)

    @property
    def refusing(self) -> bool:
        """Whether the node has so much to do that it takes no new calls."""
        return self._policy.refusing

    def probe(self, lag: float) -> None:
        """Take how late the loop ran a timer; several times a second."""
        self._metrics.loop_lag(lag)
        self._worst_lag = max(self._worst_lag, lag)

    def look(self, now: float) -> None:
        """Judge the load since the last call; called once a second."""
        used = self._processor()
        if self._before is not None and now > self._before[0]:
            cpu = (used - self._before[1]) / (now - self._before[0])
            self._judge(cpu, now)
        self._before = (now, used)
        self._worst_lag = 0.0

    def _judge(self, cpu: float, now: float) -> None:
        policy = self._policy
        was: tuple[EncoderLevel, bool] = (policy.level, policy.refusing)
        policy.look(lag=self._worst_lag, cpu=cpu, now=now)
        if (policy.level, policy.refusing) == was:
            return
        self._encoder_budget.level = policy.level
        self._metrics.set_encoder_level(policy.level)
        log.warning(
            "node.load",
            extra={
                "encoder_level": policy.level.name.lower(),
                "refusing": policy.refusing,
                "lag_seconds": round(self._worst_lag, 3),
                "cpu": round(cpu, 2),
            },
        )
