"""What is counted of Meta's webhooks."""

from prometheus_client import CollectorRegistry, generate_latest

from bridge.metrics.cloud import WEBHOOK_OUTCOMES, CloudMetrics
from bridge.metrics.labels import Families


def test_every_outcome_is_shown_before_it_happens():
    registry = CollectorRegistry()
    metrics = CloudMetrics(Families(registry))
    metrics.whatsapp_event("late")
    shown = generate_latest(registry).decode()
    for outcome in WEBHOOK_OUTCOMES:
        expected = float(outcome == "late")
        assert f'bridge_whatsapp_events_total{{outcome="{outcome}"}} {expected}' in shown
