"""Rows of the bench's table: medians over the repeats."""

import math

import pytest

from tests.bench.measure import Run, Window
from tests.bench.reports.rows import find, rows
from tests.bench.reports.test_reading import BEST, BUSY_READING, CALM


def make_run(
    *,
    target="echo",
    legs=24,
    cpu=0.5,
    rate=50.0,
    resident=0,
    lag=(),
    encoder_levels=(0.0,),
    reading=None,
):
    window = Window(
        legs=legs,
        seconds=10.0,
        cpu_per_leg=cpu,
        delays=[0.005] * 100,
        rates=[50.0, rate],
        onsets_sent=200,
        offsets=[0.009],
        resident=resident,
        lag=list(lag),
        encoder_levels=list(encoder_levels),
        reading=reading,
    )
    return Run(target, [0.01] * legs, [0.05] * legs, [window])


def test_a_row_is_the_median_of_its_repeats_with_the_least_and_the_most():
    (row,) = rows([make_run(cpu=cpu) for cpu in (0.9, 0.5, 0.6)])
    assert (row.cpu_per_leg, row.cpu_least, row.cpu_most) == (0.6, 0.5, 0.9)


def test_windows_of_a_busy_machine_are_left_out_where_others_are_left():
    runs = [make_run(cpu=0.9, reading=BUSY_READING), make_run(cpu=0.5, reading=CALM)]
    (row,) = rows(runs, BEST)
    assert (row.cpu_per_leg, row.busy) == (0.5, False)
    (row,) = rows(runs[:1], BEST)
    assert (row.cpu_per_leg, row.busy) == (0.9, True)
    assert row.times == pytest.approx(0.9 / 0.2)


def test_the_worst_leg_counts():
    (row,) = rows([make_run(rate=43.0)])
    assert row.rate == 43.0


def test_onsets_that_nobody_heard_show():
    (row,) = rows([make_run()])
    assert row.heard == 0.5


def test_memory_is_what_the_legs_added_since_the_step_before():
    run = make_run(legs=24, resident=100_000_000)
    run.windows += make_run(legs=48, resident=112_000_000).windows
    small, large = rows([run])
    assert math.isnan(small.memory_per_leg)
    assert large.memory_per_leg == 500_000


def test_the_lag_is_that_of_all_repeats_together():
    calm = make_run(lag=[(0.001, 99.0), (0.005, 99.0), (math.inf, 99.0)])
    rough = make_run(lag=[(0.001, 0.0), (0.005, 1.0), (math.inf, 1.0)])
    (row,) = rows([calm, rough])
    assert row.lag_p99 == pytest.approx(0.001)


def test_every_encoder_level_that_was_seen_is_named():
    (row,) = rows([make_run(), make_run(encoder_levels=(0.0, 1.0))])
    assert row.encoder_levels == (0.0, 1.0)


def test_a_row_is_found_by_what_it_is_about():
    table = rows([make_run(), make_run(legs=48)])
    assert find(table, "echo", 48) is table[1]
    assert find(table, "janus", 48) is None
    assert find(table, "echo", 48, "5% loss") is None
