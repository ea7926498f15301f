"""Metrics of DNS lookups for outgoing connections."""

from typing import Final

from bridge.metrics.labels import OTHER, Families, closed

ASKERS: Final = ("operator", "customer", OTHER)
"""Who configured the URL with the name."""
OUTCOMES: Final = ("found", "nothing", "failed", "remembered", "refused", OTHER)
"""`nothing`: no such name; `failed`: no response; `remembered`: a recent failure from the cache;
`refused`: too many concurrent lookups of its line."""


class OutgoingMetrics:
    """DNS metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._lookups = create.counter(
            "bridge_dns_lookups_total",
            "DNS lookups for outgoing connections.",
            asker=(),
            outcome=(),
        )
        for asker in ASKERS[:-1]:
            self._lookups.labels(asker, "failed")

    def looked_up(self, asker: str, outcome: str) -> None:
        """Count a lookup (`ASKERS`, `OUTCOMES`)."""
        self._lookups.labels(closed(asker, ASKERS), closed(outcome, OUTCOMES)).inc()
