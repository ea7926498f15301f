"""How long steps of the event loop run."""

from bridge.metrics.node import STEPS
from bridge.metrics.registry import Metrics


def test_every_step_has_its_series_and_its_time_is_counted_there():
    metrics = Metrics(version="1")
    metrics.steps.took("scrape", 0.0004)
    metrics.steps.took("scrape", 0.0006)
    lines = metrics.render().decode().splitlines()
    name = "bridge_event_loop_step_seconds"
    for step in STEPS:
        assert f'{name}_count{{step="{step}"}} {2.0 if step == "scrape" else 0.0}' in lines
    assert f'{name}_bucket{{le="0.0005",step="scrape"}} 1.0' in lines
    assert f'{name}_sum{{step="scrape"}} 0.001' in lines
