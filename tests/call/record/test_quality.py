from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.detect.quality import CODEC_DELAY_SECONDS, estimate_rating, opinion_score
from bridge.call.model import LegKind, LegStatistics, LevelCounts, ReceivedAudio, SentAudio
from bridge.call.record.quality import rate, take_sample
from bridge.call.record.timeline import Sample

NOTHING = LegStatistics()
RECEIVED = ReceivedAudio(
    packets=48,
    bytes=6_000,
    lost=2,
    concealed_frames=1,
    fec_frames=1,
    frames=50,
    jitter_seconds=0.004,
    level_dbov=-22.0,
    levels=LevelCounts(noted=10, quiet=4, measured_frames=10, clipped_frames=1),
)
SENT = SentAudio(
    packets=50,
    bytes=6_000,
    remote_loss_ratio=0.03,
    remote_jitter_seconds=0.006,
    fec=True,
    level_dbov=-30.0,
    levels=LevelCounts(noted=10, quiet=10, measured_frames=10),
)
TALK = LegStatistics(RECEIVED, SENT, round_trip_seconds=0.1)


def sample(before, after, *, playout_delay=None, kind=LegKind.WEBRTC):
    return take_sample(kind, before, after, seconds=1.0, playout_delay=playout_delay)


def test_what_was_received_is_reported_as_shares_of_the_second():
    found = sample(NOTHING, TALK, playout_delay=0.04)
    assert (found.loss, found.concealed, found.recovered) == (0.04, 0.02, 0.02)
    assert (found.jitter, found.round_trip, found.playout_delay) == (0.004, 0.1, 0.04)
    assert (found.level, found.clipped, found.silent) == (-22.0, 0.1, 0.4)


def test_what_was_sent_is_rated_as_the_far_end_reports_it():
    found = sample(NOTHING, TALK)
    assert (found.sent_loss, found.sent_jitter, found.sent_fec) == (0.03, 0.006, 1.0)
    assert (found.sent_level, found.sent_clipped, found.sent_silent) == (-30.0, 0.0, 1.0)


def test_both_directions_are_rated_by_the_e_model():
    found = sample(NOTHING, TALK, playout_delay=0.04)
    delay = CODEC_DELAY_SECONDS + 0.05
    heard = estimate_rating(loss=0.04, delay=delay + 0.04, jitter=0.004, bitrate=48_000, fec=True)
    hears = estimate_rating(loss=0.03, delay=delay, jitter=0.006, bitrate=48_000, fec=True)
    assert found.mos == pytest.approx(opinion_score(heard))
    assert found.sent_mos == pytest.approx(opinion_score(hears))


def test_every_kind_of_leg_that_carries_rtp_is_rated():
    rated = {kind for kind in LegKind if sample(NOTHING, TALK, kind=kind).mos is not None}
    assert rated == {kind for kind in LegKind if kind.traits.carries_rtp}
    assert {LegKind.WEBRTC, LegKind.WHATSAPP} <= rated


def test_five_percent_of_loss_lowers_the_mos():
    clean = sample(NOTHING, LegStatistics(replace(RECEIVED, lost=0, fec_frames=0)))
    lossy = sample(NOTHING, LegStatistics(replace(RECEIVED, packets=95, lost=5, fec_frames=0)))
    assert lossy.mos is not None
    assert clean.mos is not None
    assert lossy.mos < clean.mos - 0.5


def test_without_a_known_length_the_lowest_bit_rate_is_rated():
    received, _ = rate(LegKind.WEBRTC, NOTHING, TALK)
    assert received.mos == sample(NOTHING, replace(TALK, received=replace(RECEIVED, bytes=0))).mos


def test_only_what_is_new_counts():
    assert sample(TALK, TALK) == Sample(round_trip=0.1, sent_loss=0.03, sent_jitter=0.006)


def test_without_reports_nothing_is_said_of_what_the_leg_hears():
    found = sample(NOTHING, replace(TALK, round_trip_seconds=None))
    assert (found.sent_loss, found.sent_jitter, found.sent_mos) == (None, None, None)
    assert found.mos is not None


def test_a_leg_without_a_network_has_levels_only():
    found = sample(NOTHING, replace(TALK, round_trip_seconds=None), kind=LegKind.SIMULATOR)
    assert (found.loss, found.jitter, found.mos, found.sent_fec) == (None,) * 4
    assert found.level == -22.0


def test_a_late_packet_makes_no_loss_negative():
    before = replace(TALK, received=replace(RECEIVED, lost=5))
    after = replace(TALK, received=replace(RECEIVED, lost=2, packets=100, frames=100))
    assert sample(before, after).loss == 0.0


def test_a_pause_with_few_bits_is_rated_no_worse():
    pause = replace(TALK, received=replace(RECEIVED, bytes=200))
    speech = replace(TALK, received=replace(RECEIVED, bytes=3_000))
    assert sample(NOTHING, pause).mos == sample(NOTHING, speech).mos


COUNTS = st.integers(0, 10_000)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_shares_stay_shares(packets, lost, frames, concealed, recovered):
    received = ReceivedAudio(
        packets=packets,
        lost=lost,
        frames=frames,
        concealed_frames=concealed,
        fec_frames=recovered,
    )
    found = sample(NOTHING, LegStatistics(received))
    for share in (found.loss, found.concealed, found.recovered):
        assert share is None or 0.0 <= share <= 1.0
    assert found.mos is None or 1.0 <= found.mos <= 4.41
