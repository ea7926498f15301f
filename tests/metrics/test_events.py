"""Tests of the metrics of events and webhooks."""

from prometheus_client import CollectorRegistry, generate_latest

from bridge.metrics.events import WEBHOOK_OUTCOMES, EventMetrics
from tests.support.metric_families import families_in


def test_every_outcome_is_shown_before_it_happens():
    registry = CollectorRegistry()
    metrics = EventMetrics(families_in(registry))
    metrics.whatsapp_event("late")
    shown = generate_latest(registry).decode()
    for outcome in WEBHOOK_OUTCOMES:
        expected = float(outcome == "late")
        assert f'bridge_whatsapp_events_total{{outcome="{outcome}"}} {expected}' in shown
