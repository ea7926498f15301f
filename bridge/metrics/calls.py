"""Metrics of calls."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from bridge.call.model import Direction, EndReason, State
from bridge.metrics.labels import OTHER

REFUSALS: Final = ("calls", "line", "share", "overload", "draining", OTHER)
"""`calls`, `line`: a limit of the node or line; `share`: capacity reserved for lines with fewer calls."""

LIVE_STATES = tuple(state for state in State if state is not State.ENDED)

_CALL_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)


class CallMetrics:
    """Call metrics of one node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.now = Gauge("bridge_calls", "Current calls.", ["state"], registry=registry)
        self.limit = Gauge(
            "bridge_calls_limit", "Maximum number of concurrent calls.", registry=registry
        )
        self.started = Counter(
            "bridge_calls_started_total", "Calls started.", ["direction"], registry=registry
        )
        self.ended = Counter(
            "bridge_calls_ended_total", "Calls ended.", ["direction", "reason"], registry=registry
        )
        self.duration = Histogram(
            "bridge_call_duration_seconds",
            "Call duration from the first request or ring to the end.",
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
