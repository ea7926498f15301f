"""Metrics of Meta's webhooks."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

WEBHOOK_OUTCOMES: Final = (
    "taken",
    "duplicate",
    "late",
    "stale",
    "dropped",
    "orphaned",
    "unknown_number",
)
"""`taken`: processed or buffered; `late`: the call has ended; `stale`: an offer too old to answer;
`dropped`: buffered for a call that never appeared; `orphaned`: about an outbound call that had failed
here and was therefore ended; `unknown_number`: no line has the number."""


class CloudMetrics:
    """Webhook metrics of one node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "bridge_whatsapp_events_total",
            "Events in Meta's webhooks by outcome.",
            ["outcome"],
            registry=registry,
        )
        for outcome in WEBHOOK_OUTCOMES:
            self._events.labels(outcome)

    def whatsapp_event(self, outcome: str) -> None:
        """Count an event (`WEBHOOK_OUTCOMES`)."""
        self._events.labels(outcome).inc()
