"""Metrics of Meta's webhooks."""

from typing import Final

from bridge.metrics.labels import Families

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

    def __init__(self, create: Families) -> None:
        self._events = create.counter(
            "bridge_whatsapp_events_total",
            "Events in Meta's webhooks by outcome.",
            outcome=WEBHOOK_OUTCOMES,
        )

    def whatsapp_event(self, outcome: str) -> None:
        """Count an event (`WEBHOOK_OUTCOMES`)."""
        self._events.labels(outcome).inc()
