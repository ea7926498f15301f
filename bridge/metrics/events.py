"""Metrics of events: who listens, and how webhooks are delivered."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

OUTCOMES: Final = ("delivered", "failed", "dead")
"""Of an attempt to deliver: taken, to be tried again, given up."""


class EventMetrics:
    """What one node counts of events."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._listeners = Gauge(
            "bridge_event_listeners", "Event streams that are open.", registry=registry
        )
        self._cut = Counter(
            "bridge_event_streams_cut_total",
            "Event streams ended because their reader took nothing for too long.",
            registry=registry,
        )
        self._attempts = Counter(
            "bridge_webhook_attempts_total",
            "Attempts to deliver a webhook.",
            ["outcome"],
            registry=registry,
        )
        self._waiting = Gauge(
            "bridge_webhooks_waiting", "Webhooks still to be delivered.", registry=registry
        )
        for outcome in OUTCOMES:
            self._attempts.labels(outcome)

    def set_event_listeners(self, count: int) -> None:
        """Set how many event streams are open."""
        self._listeners.set(count)

    def event_stream_cut(self) -> None:
        """Count an event stream that was ended because its reader is stuck."""
        self._cut.inc()

    def webhook_attempt(self, outcome: str) -> None:
        """Count an attempt (`OUTCOMES`)."""
        self._attempts.labels(outcome).inc()

    def set_webhooks_waiting(self, count: int) -> None:
        """Set how many webhooks this node has still to deliver."""
        self._waiting.set(count)
