"""Reading a bridge's metrics."""

import math

import pytest

from tests.bench.scrape import LAG, buckets, growth, packet_path, parse, quantile, total, values

TEXT = """
# TYPE bridge_event_loop_lag_seconds histogram
bridge_event_loop_lag_seconds_bucket{le="0.001",node="0"} 90
bridge_event_loop_lag_seconds_bucket{le="0.005",node="0"} 98
bridge_event_loop_lag_seconds_bucket{le="+Inf",node="0"} 100
bridge_event_loop_lag_seconds_bucket{le="0.001",node="1"} 10
bridge_event_loop_lag_seconds_bucket{le="0.005",node="1"} 12
bridge_event_loop_lag_seconds_bucket{le="+Inf",node="1"} 20
bridge_event_loop_lag_seconds_count{node="0"} 100
bridge_event_loop_lag_seconds_sum{node="0"} 1
# TYPE bridge_rtp_packets_total counter
bridge_rtp_packets_total{direction="tx",kind="webrtc",node="0"} 5
bridge_rtp_packets_total{direction="tx",kind="webrtc",node="1"} 7
bridge_rtp_packets_total{direction="rx",kind="webrtc",node="1"} 9
# TYPE bridge_encoder_level gauge
bridge_encoder_level{node="0"} 0
bridge_encoder_level{node="1"} 1
"""


def test_a_histogram_is_read_over_all_nodes():
    assert buckets(parse(TEXT), LAG) == {0.001: 100, 0.005: 110, math.inf: 120}


def test_counters_are_added_up_by_label():
    assert total(parse(TEXT), "bridge_rtp_packets_total", direction="tx") == 12


def test_each_value_of_a_gauge_is_given_once():
    assert values(parse(TEXT), "bridge_encoder_level") == {0.0, 1.0}


def test_what_a_histogram_held_before_does_not_count():
    assert growth({0.001: 90.0}, {0.001: 95.0, math.inf: 3.0}) == {0.001: 5.0, math.inf: 3.0}


@pytest.mark.parametrize(("share", "value"), [(0.45, 0.0005), (0.95, 0.003), (1.0, 0.005)])
def test_a_quantile_lies_within_its_bucket(share, value):
    counts = {0.001: 90.0, 0.005: 100.0, math.inf: 100.0}
    assert quantile(counts, share) == pytest.approx(value)


def test_beyond_the_last_bound_nothing_is_known_but_the_bound():
    assert quantile({0.001: 1.0, 0.005: 1.0, math.inf: 100.0}, 0.99) == 0.005


def test_there_is_no_quantile_of_nothing():
    assert math.isnan(quantile({0.001: 0.0, math.inf: 0.0}, 0.99))


def test_the_packet_path_is_read_of_all_nodes():
    text = """
# TYPE bridge_packet_path_info gauge
bridge_packet_path_info{node="0",path="compiled"} 1
bridge_packet_path_info{node="0",path="python"} 0
"""
    assert packet_path(parse(text)) == "compiled"
    assert packet_path({}) == ""
