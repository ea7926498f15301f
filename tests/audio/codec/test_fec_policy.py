import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.codec.fec_policy import MAX_EXPECTED, MIN_EXPECTED, OFF_SECONDS, FecPolicy


def after(*losses, every=1.0):
    protection = FecPolicy()
    for number, loss in enumerate(losses):
        protection.report(loss, number * every)
    return protection


@pytest.mark.parametrize("losses", [(), (0.0,), (0.5,), (0.2, 0.0, 0.2), (0.009, 0.009, 0.009)])
def test_a_single_bad_report_changes_nothing(losses):
    assert after(*losses).expected_loss == 0


def test_two_bad_reports_in_a_row_switch_it_on():
    assert after(0.01, 0.01).expected_loss == MIN_EXPECTED


def test_more_loss_than_the_least_is_expected_as_measured():
    assert after(0.02, 0.17).expected_loss == 17


def test_more_loss_is_expected_at_once_and_less_only_slowly():
    assert after(0.02, 0.02, 0.3).expected_loss == 30
    assert after(0.02, 0.02, 0.3, 0.02).expected_loss == 25


def test_it_stays_on_through_short_calm():
    calm = [0.0] * int(OFF_SECONDS)
    assert after(0.05, 0.05, *calm).expected_loss > 0


def test_it_goes_off_after_half_a_minute_of_calm():
    calm = [0.0] * (int(OFF_SECONDS) + 1)
    assert after(0.05, 0.05, *calm).expected_loss == 0


def test_one_loss_begins_the_wait_anew():
    almost = [0.004] * int(OFF_SECONDS)
    assert after(0.05, 0.05, *almost, 0.005, *almost).expected_loss > 0


def test_calm_from_before_it_went_on_does_not_count():
    calm = [0.0] * 60
    assert after(*calm, 0.05, 0.05, 0.0).expected_loss > 0


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(0.1, 10))
def test_it_is_off_or_within_its_bounds(losses, every):
    protection = FecPolicy()
    on = 0
    for number, loss in enumerate(losses):
        protection.report(loss, number * every)
        on = protection.expected_loss
        assert on == 0 or MIN_EXPECTED <= on <= MAX_EXPECTED
    if len(losses) >= 2 and losses[-1] >= 0.01 and losses[-2] >= 0.01:
        assert on > 0
