"""Which figures of a busy machine are judged."""

from tests.bench.reports.verdict import at_most, judged

REACHED = at_most("delay", 0.005, 0.001)


def test_what_a_busy_machine_reached_is_judged():
    assert list(judged([REACHED], busy=True)) == [REACHED]


def test_what_a_busy_machine_missed_is_not_judged():
    (one,) = judged([at_most("delay", 0.005, 0.009)], busy=True)
    assert (one.busy, one.missed) == (True, False)


def test_a_difference_of_two_figures_of_a_busy_machine_is_not_judged():
    (one,) = judged([REACHED], busy=True, difference=True)
    assert one.busy
