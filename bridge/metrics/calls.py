"""How calls begin and end; `metrics.registry.Metrics` owns it."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bridge.call.model import Direction, EndReason, State
from bridge.metrics.labels import OTHER

REFUSALS: Final = ("calls", "line", "share", "overload", "draining", OTHER)
"""Why a new call is refused: `calls` and `line` are limits, `share` what is kept for lines with fewer,
`overload` a node with too much to do."""

LIVE_STATES = tuple(state for state in State if state is not State.ENDED)

_CALL_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)


class CallMetrics:
    """What one node counts of its calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.now = Gauge("bridge_calls", "Calls alive now.", ["state"], registry=registry)
        self.limit = Gauge(
            "bridge_calls_limit", "Calls the node may carry at once.", registry=registry
        )
        self.started = Counter(
            "bridge_calls_started_total", "Calls begun.", ["direction"], registry=registry
        )
        self.ended = Counter(
            "bridge_calls_ended_total", "Calls over.", ["direction", "reason"], registry=registry
        )
        self.duration = Histogram(
            "bridge_call_duration_seconds",
            "From the first request or ring to the end.",
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self.refused = Counter(
            "bridge_calls_refused_total", "New calls refused.", ["reason"], registry=registry
        )
        for reason in REFUSALS:
            self.refused.labels(reason)
        for state in LIVE_STATES:
            self.now.labels(state.value)
        for direction in Direction:
            self.started.labels(direction.value)
            for reason in EndReason:
                self.ended.labels(direction.value, reason.value)
