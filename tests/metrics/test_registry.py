"""Tests of the metrics of a node as Prometheus scrapes them."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.call.model import (
    Direction,
    EndReason,
    LegKind,
    LegStatistics,
    ReceivedAudio,
    SentAudio,
    State,
)
from bridge.metrics.media import DISCARD_REASONS, QUEUES
from bridge.metrics.network import UNMATCHED
from bridge.metrics.registry import Metrics
from bridge.rtc import limits


@pytest.fixture
def metrics():
    return Metrics(version="1.2.3")


def samples(metrics):
    """What a scrape says: value by name and labels."""
    body = metrics.render()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(metrics, name, **labels):
    return samples(metrics)[(name, *sorted(labels.items()))]


def test_a_scrape_is_the_text_of_prometheus(metrics):
    body = metrics.render()
    assert b'bridge_build_info{version="1.2.3"} 1.0' in body
    assert b"process_resident_memory_bytes" in body


def test_no_two_metrics_have_one_name(metrics):
    lines = metrics.render().decode().splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))


def test_two_nodes_share_nothing(metrics):
    Metrics(version="1.2.3").calls.started(Direction.OUTBOUND)
    assert value(metrics, "bridge_calls_started_total", direction="outbound") == 0


def test_calls_are_counted_from_start_to_end(metrics):
    metrics.calls.started(Direction.INBOUND)
    metrics.calls.set_current({State.ACTIVE: 2, State.RINGING: 1}, limit=200)
    metrics.calls.ended(Direction.INBOUND, EndReason.REMOTE_HANGUP, 61.0)
    assert value(metrics, "bridge_calls_started_total", direction="inbound") == 1
    assert value(metrics, "bridge_calls", state="active") == 2
    assert value(metrics, "bridge_calls", state="held") == 0
    assert value(metrics, "bridge_calls_limit") == 200
    ended = {"direction": "inbound", "reason": "remote_hangup"}
    assert value(metrics, "bridge_calls_ended_total", **ended) == 1
    assert value(metrics, "bridge_call_duration_seconds_sum") == 61.0


def test_a_connected_set_up_has_a_duration_and_a_failed_one_has_not(metrics):
    metrics.setup.leg_setup(LegKind.WEBRTC, "connected", 0.3)
    metrics.setup.leg_setup(LegKind.WEBRTC, "timeout", 15.0)
    metrics.setup.setup_stage("ice", 0.1)
    for outcome in ("connected", "timeout"):
        labels = {"kind": "webrtc", "outcome": outcome}
        assert value(metrics, "bridge_leg_setups_total", **labels) == 1
    assert value(metrics, "bridge_leg_setup_seconds_count", stage="total") == 1
    assert value(metrics, "bridge_leg_setup_seconds_sum", stage="ice") == 0.1


def test_a_word_outside_a_closed_set_is_other(metrics):
    metrics.setup.transport_failed("ice", "the moon was full")
    metrics.setup.leg_setup(LegKind.WEBRTC, "what", 1.0)
    metrics.setup.ice_restart("what")
    metrics.http.request("BREW", UNMATCHED, 404, 0.001)
    assert value(metrics, "bridge_transport_failures_total", stage="ice", reason="other") == 1
    assert value(metrics, "bridge_leg_setups_total", kind="webrtc", outcome="other") == 1
    assert value(metrics, "bridge_ice_restarts_total", outcome="other") == 1
    request = {"method": "other", "route": "unmatched", "status": "404"}
    assert value(metrics, "bridge_http_requests_total", **request) == 1


def test_what_legs_drop_and_discard_is_counted_once(metrics):
    figures = LegStatistics(
        received=ReceivedAudio(packets=10),
        sent=SentAudio(dropped_frames=3),
        discarded={"empty": 2, "bad_srtp": 1, "unknown": 5},
    )
    metrics.media.leg_started("a", LegKind.WEBRTC)
    metrics.media.leg_connected("a")
    metrics.media.observe_legs([("a", figures), ("stranger", figures)])
    metrics.media.observe_legs([("a", figures)])
    metrics.media.leg_ended("a", figures)
    metrics.media.leg_ended("a", figures)
    assert value(metrics, "bridge_drops_total", queue="sent_frames") == 3
    assert value(metrics, "bridge_datagrams_discarded_total", reason="empty") == 2
    assert value(metrics, "bridge_datagrams_discarded_total", reason="other") == 5
    assert value(metrics, "bridge_rtp_packets_total", kind="webrtc", direction="rx") == 10


def test_the_node_reports_its_lag_ticks_and_ports(metrics):
    metrics.node.loop_lag(0.002)
    metrics.node.late_ticks(amount=2)
    metrics.node.set_media_ports(997, "free")
    assert value(metrics, "bridge_event_loop_lag_seconds_sum") == 0.002
    assert value(metrics, "bridge_clock_late_ticks_total") == 2
    assert value(metrics, "bridge_clock_skipped_ticks_total") == 0
    assert value(metrics, "bridge_media_ports", state="free") == 997


def test_a_bus_reports_its_delays_and_newly_dropped_and_concealed_frames(metrics):
    class Bus:
        """Stands for any object."""

    one, other = Bus(), Bus()
    metrics.media.observe_bus(one, delays=[0.02, 0.06], dropped=2, concealed=5)
    metrics.media.observe_bus(one, delays=[0.04], dropped=3, concealed=5)
    metrics.media.observe_bus(other, delays=[], dropped=1, concealed=2)
    assert value(metrics, "bridge_bus_delay_seconds_count") == 3
    assert value(metrics, "bridge_bus_delay_seconds_sum") == pytest.approx(0.12)
    assert value(metrics, "bridge_drops_total", queue="playout") == 4
    assert value(metrics, "bridge_bus_frames_concealed_total") == 7


def test_requests_are_counted_by_the_pattern_of_their_route(metrics):
    metrics.http.request("POST", "/call/dial", 200, 0.01)
    metrics.http.request("POST", "/call/dial", 200, 0.02)
    request = {"method": "POST", "route": "/call/dial"}
    assert value(metrics, "bridge_http_requests_total", status="200", **request) == 2
    assert value(metrics, "bridge_http_request_seconds_count", **request) == 2
    metrics.http.request("POST", "/call/dial", 200, None)
    assert value(metrics, "bridge_http_requests_total", status="200", **request) == 3
    assert value(metrics, "bridge_http_request_seconds_count", **request) == 2


def test_counters_are_there_before_anything_happened(metrics):
    series = samples(metrics)
    for reason in DISCARD_REASONS:
        assert ("bridge_datagrams_discarded_total", ("reason", reason)) in series
    for queue in QUEUES:
        assert ("bridge_drops_total", ("queue", queue)) in series


def test_every_discard_reason_of_a_peer_is_a_label():
    assert set(limits.DISCARD_REASONS) <= set(DISCARD_REASONS)


def test_a_thousand_calls_add_no_series(metrics):
    def one_call(leg):
        metrics.calls.started(Direction.OUTBOUND)
        metrics.media.leg_started(leg, LegKind.WEBRTC)
        metrics.setup.leg_setup(LegKind.WEBRTC, "connected", 0.2)
        metrics.media.leg_ended(leg, LegStatistics(discarded={f"made up {leg}": 1}))
        metrics.calls.ended(Direction.OUTBOUND, EndReason.HANGUP, 10.0)

    one_call(0)
    before = samples(metrics).keys()
    for leg in range(1, 1001):
        one_call(leg)
    assert samples(metrics).keys() == before
