"""How much a stream's server may have the bridge read."""

import pytest

from bridge.media.read_budget import FLOOD_SECONDS, UNIT_BYTES, UNITS_PER_SECOND, ReadBudget


def read(budget, *, seconds, rate=None, size=100, began=0.0):
    """Read what comes at a rate, or as fast as is let; return how many messages, and whether it is a flood."""
    now, count = began, 0
    while now < began + seconds:
        pause = budget.spend(size, now) or 0.0
        count += 1
        if budget.is_flood(now):
            return count, True
        due = now + pause
        now = max(due, began + count / rate) if rate else due
    return count, False


@pytest.mark.parametrize("rate", [50, 200, 900])
def test_audio_at_any_usual_rate_is_never_held_up(rate):
    budget = ReadBudget(0.0)
    for number in range(rate * 60):
        assert not budget.spend(3000, number / rate)


def test_half_a_minute_of_audio_at_once_is_read_without_a_pause():
    budget = ReadBudget(0.0)
    assert {budget.spend(1300, 0.0) for _ in range(1500)} == {None, 0.0}


def test_others_get_their_turn_every_few_messages():
    budget = ReadBudget(0.0)
    pauses = [budget.spend(100, 0.0) for _ in range(200)]
    assert pauses.count(0.0) == 10


def test_no_more_is_read_than_the_rate_and_one_burst():
    count, _ = read(ReadBudget(0.0), seconds=9.0)
    assert count == pytest.approx(11 * UNITS_PER_SECOND, rel=0.02)


def test_long_messages_cost_more():
    count, _ = read(ReadBudget(0.0), seconds=9.0, size=99 * UNIT_BYTES)
    assert count == pytest.approx(110, abs=5)


def test_whoever_never_stops_is_a_flood():
    budget = ReadBudget(0.0)
    count, flood = read(budget, seconds=60.0)
    assert flood
    assert budget.is_short
    assert count == pytest.approx((FLOOD_SECONDS + 2) * UNITS_PER_SECOND, rel=0.05)


def test_a_burst_that_ends_is_none():
    budget = ReadBudget(0.0)
    for began in (0.0, 20.0, 40.0):
        _, flood = read(budget, seconds=8.0, began=began)
        assert not flood
        assert not budget.is_flood(began + 8.0)
        assert not read(budget, seconds=4.0, rate=50, began=began + 10.0)[1]
        assert not budget.is_short


def test_a_steady_rate_just_below_the_limit_is_none():
    assert not read(ReadBudget(0.0), seconds=120.0, rate=UNITS_PER_SECOND * 0.95)[1]
