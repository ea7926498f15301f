"""What three machines may cost beside one, and what a request to the wrong one may take."""

import pytest

from tests.bench.studies.machines import Machines, costs, verdicts


def measured(*, three=1.0, wrong=0.002):
    return Machines(
        legs=20, one=[1.0] * 3, three=[three] * 3, right=[0.001] * 20, wrong=[wrong] * 20
    )


def missed(found):
    return [one.what for one in verdicts(found) if not one.met]


@pytest.mark.parametrize(("three", "misses"), [(1.10, 0), (1.11, 1)])
def test_three_machines_may_cost_a_tenth_more_than_one(three, misses):
    assert len(missed(measured(three=three))) == misses


@pytest.mark.parametrize(("wrong", "misses"), [(0.0029, 0), (0.0031, 1)])
def test_a_request_to_the_wrong_machine_may_take_two_milliseconds_more(wrong, misses):
    assert len(missed(measured(wrong=wrong))) == misses


def test_of_a_busy_machine_the_ratio_alone_is_judged():
    found = verdicts(measured(three=1.2, wrong=0.01), busy=True)
    assert [one.missed for one in found] == [True, False]


def test_what_was_not_measured_is_not_judged():
    assert verdicts(None) == []


def test_medians_and_quartiles_are_shown():
    assert costs(measured(three=1.1)) == [
        ("one", "1.000", "1.000", "1.000"),
        ("three", "1.100", "1.100", "1.100"),
    ]
