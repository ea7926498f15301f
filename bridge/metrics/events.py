"""Metrics of events: their streams, webhooks sent, and Meta's webhooks received."""

from typing import Final

from bridge.metrics.families import Families

OUTCOMES: Final = ("delivered", "failed", "dead")
"""Of a delivery attempt: `failed` is retried, `dead` is not."""

WEBHOOK_OUTCOMES: Final = (
    "taken",
    "duplicate",
    "late",
    "stale",
    "dropped",
    "orphaned",
    "unknown_number",
    "standby",
    "by_sip",
)
"""`taken`: processed or buffered; `late`: the call has ended; `stale`: an offer too old to answer;
`dropped`: buffered for a call that never appeared; `orphaned`: about an outbound call that had failed
here and was therefore ended; `unknown_number`: no line has the number;
`standby`: about what another partner of the number, or Meta's Business Agent, handles;
`by_sip`: about a call that Meta signals by SIP, which is followed there."""


class EventMetrics:
    """Event metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.set_event_listeners = create.gauge("bridge_event_listeners", "Open event streams.")
        self.event_stream_cut = create.counter(
            "bridge_event_streams_cut_total",
            "Event streams closed because the client did not read.",
        )
        self.webhook_attempt = create.counter(
            "bridge_webhook_attempts_total",
            "Webhook delivery attempts by outcome.",
            outcome=OUTCOMES,
        )
        self.set_webhooks_waiting = create.gauge(
            "bridge_webhooks_waiting", "Webhooks waiting for delivery."
        )
        self.whatsapp_event = create.counter(
            "bridge_whatsapp_events_total",
            "Events in Meta's webhooks by outcome.",
            outcome=WEBHOOK_OUTCOMES,
        )
