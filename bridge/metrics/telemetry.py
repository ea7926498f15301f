"""Metrics of traces."""

from typing import Final

from bridge.metrics.families import Families

OUTCOMES: Final = ("exported", "dropped", "failed")


class TelemetryMetrics:
    """Metrics of one node's traces."""

    def __init__(self, create: Families) -> None:
        self.spans = create.counter(
            "bridge_telemetry_spans_total",
            "Spans by outcome: exported, dropped because the queue was full, or failed because the collector did not accept them.",
            outcome=OUTCOMES,
        )
