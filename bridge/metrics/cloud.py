"""Metrics of Meta's webhooks."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

WEBHOOK_OUTCOMES: Final = (
    "taken",
    "duplicate",
    "late",
    "stale",
    "dropped",
    "disowned",
    "unknown_number",
)
"""What became of an event: acted on or held; known already; about a call that is over; a ring too old
to be answered; held for a call that never became known; about a call of ours that had failed here and
rang all the same, so that it was ended; about a number that is no line's."""


class CloudMetrics:
    """What one node counts of Meta's webhooks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "bridge_whatsapp_events_total",
            "Events of Meta's webhooks, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in WEBHOOK_OUTCOMES:
            self._events.labels(outcome)

    def whatsapp_event(self, outcome: str) -> None:
        """Count an event (`WEBHOOK_OUTCOMES`)."""
        self._events.labels(outcome).inc()
