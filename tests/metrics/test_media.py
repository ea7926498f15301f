"""Tests of the metrics of legs."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from bridge.call.model import LegKind, LegStatistics, ReceivedAudio, SentAudio
from bridge.call.record.timeline import Sample
from bridge.metrics.media import MediaMetrics
from tests.support.metric_families import families_in

WEBRTC = {"kind": "webrtc"}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def legs(registry):
    return MediaMetrics(families_in(registry))


def report(seconds, *, lost=0, level=-20.0, silent=0.0):
    """What a leg says after it has received and sent for some seconds."""
    return LegStatistics(
        received=ReceivedAudio(
            packets=50 * seconds - lost,
            bytes=4000 * seconds,
            lost=lost,
            frames=50 * seconds,
            jitter_seconds=0.004,
            level_dbov=level,
            silent_seconds=silent,
        ),
        sent=SentAudio(
            packets=50 * seconds,
            bytes=5000 * seconds,
            forwarded_packets=30 * seconds,
            level_dbov=-25.0,
        ),
        round_trip_seconds=0.03,
    )


def test_counters_grow_by_the_difference_to_the_last_report(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)
    legs.observe_legs([("a", report(1))])
    legs.observe_legs([("a", report(2))])
    rx, tx = WEBRTC | {"direction": "rx"}, WEBRTC | {"direction": "tx"}
    assert registry.get_sample_value("bridge_rtp_packets_total", rx) == 100
    assert registry.get_sample_value("bridge_rtp_packets_total", tx) == 100
    assert registry.get_sample_value("bridge_rtp_payload_bytes_total", rx) == 8000
    assert registry.get_sample_value("bridge_frames_total", WEBRTC) == 100
    assert registry.get_sample_value("bridge_rtp_packets_passthrough_total", WEBRTC) == 60


def test_totals_stay_when_a_leg_ends_and_the_last_report_counts(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)
    legs.observe_legs([("a", report(1))])
    legs.leg_ended("a", report(3))
    legs.leg_started("b", LegKind.WEBRTC)
    legs.leg_ended("b", report(1))
    rx = WEBRTC | {"direction": "rx"}
    assert registry.get_sample_value("bridge_rtp_packets_total", rx) == 200
    assert registry.get_sample_value("bridge_legs", WEBRTC) == 0


def test_losses_that_shrink_and_grow_again_are_counted_once(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)
    for second, lost in enumerate([5, 3, 5, 6], start=1):
        legs.observe_legs([("a", report(second, lost=lost))])
    assert registry.get_sample_value("bridge_rtp_packets_lost_total", WEBRTC) == 6


def test_legs_are_counted_by_kind(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)
    legs.leg_started("b", LegKind.SIMULATOR)
    legs.leg_started("b", LegKind.SIMULATOR)
    assert registry.get_sample_value("bridge_legs", WEBRTC) == 1
    assert registry.get_sample_value("bridge_legs", {"kind": "simulator"}) == 1


def test_what_the_far_end_reports_lost_is_counted_apart(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)
    legs.observe_legs([("a", LegStatistics(sent=SentAudio(packets=50, remote_lost=4)))])
    assert registry.get_sample_value("bridge_remote_packets_lost_total", WEBRTC) == 4
    assert registry.get_sample_value("bridge_rtp_packets_lost_total", WEBRTC) == 0


def test_a_leg_is_silent_after_three_seconds_and_until_it_speaks_or_ends(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)

    def silent_legs(second, silence):
        legs.observe_legs([("a", report(second, level=-90.0, silent=silence))])
        return registry.get_sample_value("bridge_legs_silent", WEBRTC)

    assert [silent_legs(1, 2.9), silent_legs(2, 3.0), silent_legs(3, 4.0)] == [0, 1, 1]
    assert silent_legs(4, 0.0) == 0
    assert silent_legs(5, 3.0) == 1
    legs.leg_ended("a", report(5))
    assert registry.get_sample_value("bridge_legs_silent", WEBRTC) == 0


def test_a_leg_that_stops_sending_is_stalled_until_it_sends_again(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)

    def stalled_legs(second):
        legs.observe_legs([("a", report(second))])
        return registry.get_sample_value("bridge_legs_stalled", WEBRTC)

    assert [stalled_legs(1), stalled_legs(1), stalled_legs(1), stalled_legs(2)] == [0, 0, 1, 0]


def test_a_leg_that_only_listens_is_not_stalled(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)
    for _ in range(5):
        legs.observe_legs([("a", LegStatistics())])
    assert registry.get_sample_value("bridge_legs_stalled", WEBRTC) == 0


@pytest.mark.parametrize(
    ("figures", "heard"),
    [
        (LegStatistics(), "nothing"),
        (report(1, level=-90.0), "silence"),
        (report(1, level=-20.0), "audio"),
    ],
)
def test_what_was_heard_of_a_connected_leg_is_counted_at_its_end(legs, registry, figures, heard):
    legs.leg_started("a", LegKind.WEBRTC)
    legs.leg_connected("a")
    legs.observe_legs([("a", figures)])
    legs.leg_ended("a", replace(figures))
    for word in ("nothing", "silence", "audio"):
        value = registry.get_sample_value("bridge_legs_ended_total", WEBRTC | {"heard": word})
        assert value == (word == heard)


def test_a_leg_that_never_connected_does_not_count_as_unheard(legs, registry):
    legs.leg_started("a", LegKind.WEBRTC)
    legs.leg_ended("a", LegStatistics())
    labels = WEBRTC | {"heard": "nothing"}
    assert registry.get_sample_value("bridge_legs_ended_total", labels) == 0


def test_an_unknown_leg_is_ignored(legs, registry):
    legs.leg_connected("a")
    legs.observe_legs([("a", report(1))])
    legs.leg_ended("a", report(1))
    rx = WEBRTC | {"direction": "rx"}
    assert registry.get_sample_value("bridge_rtp_packets_total", rx) == 0


def test_a_second_of_quality_is_observed_by_direction(legs, registry):
    sample = Sample(
        loss=0.05,
        sent_loss=0.08,
        round_trip=0.05,
        mos=4.0,
        sent_mos=3.0,
        concealed=0.02,
        clipped=0.1,
        sent_silent=1.0,
    )
    legs.observe_quality(LegKind.WEBRTC, sample)
    assert registry.get_sample_value("bridge_loss_ratio_sum", WEBRTC) == 0.05
    assert registry.get_sample_value("bridge_remote_loss_ratio_sum", WEBRTC) == 0.08
    assert registry.get_sample_value("bridge_round_trip_seconds_sum", WEBRTC) == 0.05
    assert registry.get_sample_value("bridge_jitter_seconds_count", WEBRTC) == 0
    for direction, mos in (("rx", 4.0), ("tx", 3.0)):
        labels = WEBRTC | {"direction": direction}
        assert registry.get_sample_value("bridge_mos_sum", labels) == mos
    assert registry.get_sample_value("bridge_concealed_ratio_sum", WEBRTC) == 0.02
    assert registry.get_sample_value("bridge_recovered_ratio_count", WEBRTC) == 0
    clips = WEBRTC | {"direction": "tx"}
    assert registry.get_sample_value("bridge_clipped_ratio_count", clips) == 0
