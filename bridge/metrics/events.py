"""Metrics of event streams and webhook deliveries."""

from typing import Final

from bridge.metrics.labels import Families

OUTCOMES: Final = ("delivered", "failed", "dead")
"""Of a delivery attempt: `failed` is retried, `dead` is not."""


class EventMetrics:
    """Event metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._listeners = create.gauge("bridge_event_listeners", "Open event streams.")
        self._cut = create.counter(
            "bridge_event_streams_cut_total",
            "Event streams closed because the client did not read.",
        )
        self._attempts = create.counter(
            "bridge_webhook_attempts_total",
            "Webhook delivery attempts by outcome.",
            outcome=OUTCOMES,
        )
        self._waiting = create.gauge("bridge_webhooks_waiting", "Webhooks waiting for delivery.")

    def set_event_listeners(self, count: int) -> None:
        """Set how many event streams are open."""
        self._listeners.set(count)

    def event_stream_cut(self) -> None:
        """Count an event stream closed because its client did not read."""
        self._cut.inc()

    def webhook_attempt(self, outcome: str) -> None:
        """Count an attempt (`OUTCOMES`)."""
        self._attempts.labels(outcome).inc()

    def set_webhooks_waiting(self, count: int) -> None:
        """Set how many webhooks wait for delivery."""
        self._waiting.set(count)
