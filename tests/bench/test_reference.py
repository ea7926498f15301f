"""The reference: a loop in C that says how fast the machine is."""

import math
from contextlib import closing

import pytest

from bridge.rtc.packet_path_build import find_compiler
from tests.bench.reference import Loop, around, running, sample, stolen
from tests.bench.reports.reading import Reading


@pytest.mark.compiler
def test_every_packet_comes_back_whole_and_takes_time():
    with closing(Loop(find_compiler())) as loop:
        for _ in range(2):
            wall, cpu = loop.carry(70)
            assert 0 < cpu < 1e-3
            assert wall > 0


def test_without_a_compiler_there_is_no_figure_but_the_stolen_time():
    found = sample(None, None)
    assert math.isnan(found.wall)
    assert found.stolen == stolen(None) >= 0


@pytest.mark.load
def test_a_look_before_and_after_is_noted_under_every_name():
    readings: dict[str, Reading] = {}
    with around(readings, "a") as names:
        names.append("b")
    assert set(readings) == {"a", "b"}
    assert readings["a"] is readings["b"]
    assert min(readings["a"].cpu) > 0


@pytest.mark.load
def test_samples_follow_one_another():
    with running(None) as take:
        first, second = take(), take()
    assert second.at > first.at
