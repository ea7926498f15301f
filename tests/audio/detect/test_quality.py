import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.detect.quality import estimate_rating, opinion_score


@pytest.mark.parametrize(
    ("rating", "mos"), [(90, 4.34), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58)]
)
def test_the_score_follows_the_recommendation(rating, mos):
    # ITU-T G.107 annex B, table B.1, to its two decimals.
    assert opinion_score(rating) == pytest.approx(mos, abs=0.005)


def test_the_score_never_falls_below_one():
    assert opinion_score(0.0) == 1.0
    assert opinion_score(3.0) == 1.0


def test_delay_alone_costs_what_the_model_says():
    assert estimate_rating(loss=0.0, delay=0.1, bitrate=1_000_000) == pytest.approx(93.2 - 2.4)
    assert estimate_rating(loss=0.0, delay=0.3, bitrate=1_000_000) == pytest.approx(
        93.2 - 7.2 - 0.11 * 122.7
    )


def test_the_bit_rate_costs_what_the_model_says():
    rating = estimate_rating(loss=0.0, delay=0.0, bitrate=24_000)
    assert rating == pytest.approx(93.2 - (55 - 4.6 * math.log(24_000)))


@pytest.mark.parametrize(("fec", "robustness"), [(True, 20), (False, 10)])
def test_loss_costs_less_with_fec(fec, robustness):
    rating = estimate_rating(loss=0.05, delay=0.0, bitrate=1_000_000, fec=fec)
    assert rating == pytest.approx(93.2 - 95 * 5 / (5 + robustness))


def test_jitter_counts_as_twice_its_delay():
    assert estimate_rating(loss=0.0, delay=0.05, jitter=0.025) == estimate_rating(
        loss=0.0, delay=0.1
    )


def test_a_good_line_is_good_and_a_bad_one_is_bad():
    assert opinion_score(estimate_rating(loss=0.0, delay=0.05, bitrate=40_000)) > 4.1
    assert opinion_score(estimate_rating(loss=0.2, delay=0.3, bitrate=24_000)) < 2.0


@given(
    st.floats(-1, 2),
    st.floats(-1, 100),
    st.floats(0, 100),
    st.integers(0, 1_000_000),
    st.booleans(),
)
def test_the_estimate_stays_within_its_scale(loss, delay, jitter, bitrate, fec):
    rating = estimate_rating(loss=loss, delay=delay, jitter=jitter, bitrate=bitrate, fec=fec)
    assert 0.0 <= rating <= 93.2
    assert 1.0 <= opinion_score(rating) <= 4.41


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_loss_is_never_better(one, other, delay):
    less, more = sorted([one, other])
    assert estimate_rating(loss=less, delay=delay) >= estimate_rating(loss=more, delay=delay)
