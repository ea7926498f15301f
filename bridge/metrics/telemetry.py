"""Metrics of traces."""

from typing import Final

from bridge.metrics.families import Families

OUTCOMES: Final = ("exported", "dropped", "failed")


class TelemetryMetrics:
    """Metrics of one node's traces."""

    def __init__(self, create: Families) -> None:
        self.spans = create.counter(
            "bridge_telemetry_spans_total",
            "Spans by outcome: exported, dropped since too many waited, or failed since the collector did not take them.",
            outcome=OUTCOMES,
        )
