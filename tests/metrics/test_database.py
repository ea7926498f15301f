"""Metrics of the database."""

from bridge.metrics.registry import Metrics


def test_a_database_that_is_opened_is_up_until_it_is_lost():
    metrics = Metrics(version="0")
    assert b"bridge_database_up 1.0" in metrics.render()
    metrics.database.set_up(0)
    assert b"bridge_database_up 0.0" in metrics.render()
