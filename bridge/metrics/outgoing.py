"""What the bridge asks of other servers before it reaches them: look-ups of names."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from bridge.metrics.labels import OTHER, closed

ASKERS: Final = ("operator", "customer", OTHER)
"""Whose URL holds the name."""
OUTCOMES: Final = ("found", "nothing", "failed", "remembered", "refused", OTHER)
"""`nothing` = there is no such name, `failed` = no answer, `remembered` = failed a moment ago and not
asked again, `refused` = its line looks up too much at a time."""


class OutgoingMetrics:
    """Look-ups of host names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._look_ups = Counter(
            "bridge_dns_lookups_total",
            "Host names looked up for outgoing connections, by whose URL has them and how it went.",
            ["asker", "outcome"],
            registry=registry,
        )
        for asker in ASKERS[:-1]:
            self._look_ups.labels(asker, "failed")

    def looked_up(self, asker: str, outcome: str) -> None:
        """Count a look-up (`ASKERS`, `OUTCOMES`)."""
        self._look_ups.labels(closed(asker, ASKERS), closed(outcome, OUTCOMES)).inc()
