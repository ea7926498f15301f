"""Tests of the metrics of HTTP connections."""

from prometheus_client import CollectorRegistry

from bridge.metrics.network import HttpMetrics
from tests.support.metric_families import families_in


def test_connections_and_refusals_are_counted_by_closed_reasons():
    registry = CollectorRegistry()
    metrics = HttpMetrics(families_in(registry))
    metrics.set_connections(3)
    metrics.connection_cut("slow_reader")
    metrics.connection_cut("whatever")
    metrics.unauthenticated_refused("wrong_key")

    def value(name, **labels):
        return registry.get_sample_value(name, labels)

    assert value("bridge_http_connections") == 3
    assert value("bridge_http_connections_cut_total", reason="slow_reader") == 1
    assert value("bridge_http_connections_cut_total", reason="other") == 1
    assert value("bridge_http_unauthenticated_refused_total", reason="wrong_key") == 1
