"""Metrics of disclosures."""

from typing import Final

from bridge.metrics.families import Families

RESULTS: Final = ("spoken", "repeated", "failed")
"""Spoken to the end; repeated because somebody spoke over it; could not be spoken."""


class DisclosureMetrics:
    """Disclosure metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.told = create.counter(
            "bridge_disclosures_total",
            "Disclosures that a machine speaks: spoken to the end, repeated because somebody spoke over them, or failed.",
            result=RESULTS,
        )
