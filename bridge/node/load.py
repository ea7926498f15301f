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
        effort: EncoderBudget,
        metrics: Metrics,
        patience: float,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        """Begin to watch.

        Args:
            effort: Told the rung that encoders may stand on.
            metrics: Told the lag and the rung.
            patience: Seconds of overload after which new calls are refused; 0 = never.
            processor: Seconds of processor time that the process has used.
        """
        self._effort = effort
        self._metrics = metrics
        self._policy = LoadPolicy(patience=patience)
        self._processor = processor
        self._worst_lag = 0.0
        self._before: tuple[float, float] | None = None
        metrics.set_encoder_rung(effort.rung)

    @property
    def refusing(self) -> bool:
        """Whether the node has so much to do that it takes no new calls."""
        return self._policy.refusing

    def probe(self, lag: float) -> None:
        """Take how late the loop ran a timer; several times a second."""
        self._metrics.loop_lag(lag)
        self._worst_lag = max(self._worst_lag, lag)

    def look(self, now: float) -> None:
        """VoiceDetector the time since the last look; once a second."""
        used = self._processor()
        if self._before is not None and now > self._before[0]:
            cpu = (used - self._before[1]) / (now - self._before[0])
            self._judge(cpu, now)
        self._before = (now, used)
        self._worst_lag = 0.0

    def _judge(self, cpu: float, now: float) -> None:
        policy = self._policy
        was: tuple[EncoderLevel, bool] = (policy.rung, policy.refusing)
        policy.look(lag=self._worst_lag, cpu=cpu, now=now)
        if (policy.rung, policy.refusing) == was:
            return
        self._effort.rung = policy.rung
        self._metrics.set_encoder_rung(policy.rung)
        log.warning(
            "node.load",
            extra={
                "rung": policy.rung.name.lower(),
                "refusing": policy.refusing,
                "lag_seconds": round(self._worst_lag, 3),
                "cpu": round(cpu, 2),
            },
        )
