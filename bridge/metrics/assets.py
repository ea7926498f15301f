"""Metrics of audio assets that other machines have."""

from typing import Final

from bridge.metrics.families import OTHER, Families

SOURCES: Final = ("cached", "machine", "store", "failed", OTHER)


class AssetMetrics:
    """Asset metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.fetched = create.counter(
            "bridge_asset_fetches_total",
            "Audio assets of other machines that were played here, by where they came from.",
            source=SOURCES,
        )
