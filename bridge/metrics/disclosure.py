"""Metrics of disclosures: how often persons in calls were told that they hear a machine."""

from typing import Final

from bridge.metrics.families import Families

RESULTS: Final = ("spoken", "repeated", "failed")
"""Said to its end; said a second time as somebody spoke over it; could not be said."""


class DisclosureMetrics:
    """Disclosure metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.told = create.counter(
            "bridge_disclosures_total",
            "Disclosures to persons in calls that they hear a machine: spoken to the end, repeated because somebody spoke over them, or failed.",
            result=RESULTS,
        )
