"""What is said of variants that took turns."""

import math

import pytest

from tests.bench.reports.turns import HEADS, cells, measured, verdicts
from tests.bench.slices import Slice


def a_round(*costs):
    names = [(build, what) for build in ("a", "b") for what in ("talking", "stops")]
    return [
        Slice(build=build, what=what, cpu_per_leg=cost, transit=[0.001, cost / 100, math.inf])
        for (build, what), cost in zip(names, costs, strict=True)
    ]


def test_ratios_are_to_the_first_variant_and_to_the_first_condition():
    rounds = [a_round(1.0, 4.0, 2.0, 6.0), a_round(2.0, 4.0, 3.0, 9.0)]
    found = measured("pcm", 24, ["a", "b"], ["talking", "stops"], rounds)
    assert [(one.variant, one.what) for one in found] == [
        ("a", "talking"),
        ("a", "stops"),
        ("b", "talking"),
        ("b", "stops"),
    ]
    last = found[-1]
    assert last.ratios == [1.5, 2.25]
    assert last.to_own == 3.0
    assert last.to_first == pytest.approx(5.25)


def test_packets_of_all_rounds_are_summed_up():
    rounds = [a_round(1.0, 4.0, 2.0, 6.0), a_round(2.0, 4.0, 3.0, 9.0)]
    last = measured("pcm", 24, ["a", "b"], ["talking", "stops"], rounds)[-1]
    assert (last.transit.packets, last.transit.late, last.transit.lost) == (6, 2, 2)
    assert len(cells(last)) == len(HEADS)
    assert "2, 33.33 %" in cells(last)


def test_delays_are_of_rounds_in_which_the_generator_was_punctual():
    calm = Slice(build="a", what="stops", cpu_per_leg=1.0, transit=[0.001], lateness=0.002)
    busy = Slice(build="a", what="stops", cpu_per_leg=1.0, transit=[0.5], lateness=0.1)
    found = measured("pcm", 24, ["a"], ["stops"], [[calm], [busy], [busy]])[0]
    assert (found.rounds, found.calm, found.transit.longest) == (3, 1, 0.001)
    assert measured("pcm", 24, ["a"], ["stops"], [[busy]])[0].transit.longest == 0.5


def under(what, *transit):
    slices = [Slice(build="bridge", what=what, cpu_per_leg=1.0, transit=[*transit])]
    return measured("pcm", 24, ["bridge"], [what], [slices])[0]


def test_packets_are_judged_while_the_event_loop_stops():
    assert [one.met for one in verdicts(under("stops", *[0.001] * 999, 0.011))] == [True, True]
    assert [one.met for one in verdicts(under("stops", *[0.001] * 999, 0.013))] == [True, False]
    assert [one.met for one in verdicts(under("stops", *[0.001] * 90, *[0.006] * 10))] == [
        False,
        True,
    ]


def test_with_loss_too_the_share_of_packets_later_than_a_frame_is_judged():
    assert [one.met for one in verdicts(under("loss+stops", *[0.001] * 1999, 0.1))] == [True]
    assert [one.met for one in verdicts(under("loss+stops", *[0.001] * 999, 0.1))] == [False]
