"""What is known of the machine while something was measured."""

import math

import pytest

from tests.bench.reports.reading import Reading, Sample, fastest, reading, told

CALM = Reading([40e-6, 41e-6], [38e-6, 42e-6], 0.0)
BUSY_READING = Reading([40e-6, 45e-6], [38e-6, 42e-6], 0.0)
BEST = 40e-6


@pytest.mark.parametrize(
    ("wall", "steal", "strays"),
    [
        ([40e-6, 43.9e-6], 0.0, False),
        ([44.1e-6, 40e-6], 0.0, True),
        ([40e-6, 44.1e-6], 0.0, True),
        ([40e-6, 40e-6], 0.09, False),
        ([40e-6, 40e-6], 0.11, True),
        ([math.nan, math.nan], 0.0, False),
    ],
)
def test_a_machine_is_busy_that_is_a_tenth_slower_or_robbed_of_a_tenth(wall, steal, strays):
    assert Reading(wall, wall, steal).strays(BEST) is strays


def test_nothing_strays_from_a_reference_that_could_not_be_run():
    assert not BUSY_READING.strays(math.nan)


def test_a_leg_that_does_what_the_loop_does_costs_as_much():
    assert CALM.times(100 * 50 * 40e-6) == pytest.approx(1.0)


def test_two_samples_tell_what_was_stolen_between_them():
    before, after = Sample(10.0, 40e-6, 39e-6, 5.0), Sample(20.0, 41e-6, 40e-6, 5.5)
    assert reading(before, after) == Reading([40e-6, 41e-6], [39e-6, 40e-6], 0.05)


def test_the_best_of_a_run_is_its_fastest_sample():
    assert fastest([CALM, None, Reading([math.nan], [math.nan], 0.0), BUSY_READING]) == BEST
    assert math.isnan(fastest([]))


def test_a_run_says_how_often_the_machine_was_busy():
    assert told([CALM, BUSY_READING]) == (
        "the C loop took 40 µs a packet at best and 45 at most, up to 0% of the time was stolen, "
        "and the machine was busy during 1 of 2 measurements"
    )
    assert told([]) == ""
