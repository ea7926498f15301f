"""What is counted of assets of other machines."""

from prometheus_client import CollectorRegistry, generate_latest

from bridge.metrics.assets import SOURCES, AssetMetrics
from bridge.metrics.families import Families


def test_every_source_is_shown_before_it_is_used():
    registry = CollectorRegistry()
    AssetMetrics(Families(registry)).fetched("machine")
    shown = generate_latest(registry).decode()
    for source in SOURCES:
        expected = float(source == "machine")
        assert f'bridge_asset_fetches_total{{source="{source}"}} {expected}' in shown
