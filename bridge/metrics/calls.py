"""Metrics of calls."""

from typing import Final

from bridge.call.model import Direction, EndReason, State
from bridge.metrics.labels import OTHER, Families

REFUSALS: Final = ("calls", "line", "share", "overload", "draining", OTHER)
"""`calls`, `line`: a limit of the node or line; `share`: capacity reserved for lines with fewer calls."""

LIVE_STATES = tuple(state for state in State if state is not State.ENDED)

_CALL_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)


class CallMetrics:
    """Call metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.now = create.gauge("bridge_calls", "Current calls.", state=LIVE_STATES)
        self.limit = create.gauge("bridge_calls_limit", "Maximum number of concurrent calls.")
        self.started = create.counter(
            "bridge_calls_started_total", "Calls started.", direction=Direction
        )
        self.ended = create.counter(
            "bridge_calls_ended_total", "Calls ended.", direction=Direction, reason=EndReason
        )
        self.duration = create.histogram(
            "bridge_call_duration_seconds",
            "Call duration from the first request or ring to the end.",
            _CALL_SECONDS,
        )
        self.refused = create.counter(
            "bridge_calls_refused_total", "New calls refused.", reason=REFUSALS
        )
