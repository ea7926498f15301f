"""The table of the bench: medians, ratios, targets."""

import pytest

from tests.load.measure import Run, Window
from tests.load.report import as_json, markdown, rows, verdicts


def make_run(target, *, cpu, delay=0.005, rate=50.0, loss=0.0, growth=0.0, answer=0.01, memory=5e5):
    window = Window(
        loss=loss,
        seconds=10.0,
        cpu_per_leg=cpu,
        delays=[delay] * 100,
        growth=growth,
        rates=[50.0, rate],
        onsets_sent=100,
        offsets=[0.009],
        generator_cpu=10.0,
        lateness=0.001,
    )
    return Run(target, 24, [answer] * 24, [0.05] * 24, memory, [window])


def missed(runs):
    return [one.what for one in verdicts(rows(runs)) if not one.met]


def test_a_row_is_the_median_of_its_repeats():
    (row,) = rows([make_run("bridge", cpu=cpu) for cpu in (0.9, 0.5, 0.6)])
    assert row.cpu_per_leg == 0.6


def test_the_worst_leg_counts():
    (row,) = rows([make_run("bridge", cpu=0.5, rate=43.0)])
    assert row.rate == 43.0


def test_a_bridge_that_reaches_everything_misses_nothing():
    assert missed([make_run("bridge", cpu=0.8), make_run("stock", cpu=3.0, delay=0.1)]) == []


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ({"cpu": 1.0}, "24 legs: CPU per leg, bridge/stock"),
        ({"cpu": 0.5, "delay": 0.016}, "24 legs: echo delay p95"),
        ({"cpu": 0.5, "rate": 49.7}, "24 legs: packets/s on the worst leg"),
        ({"cpu": 0.5, "answer": 0.021}, "24 legs: offer answered p95"),
        ({"cpu": 0.5, "memory": 1.1e6}, "24 legs: memory per leg"),
    ],
)
def test_each_target_can_be_missed_by_itself(figures, what):
    assert missed([make_run("bridge", **figures), make_run("stock", cpu=3.0)]) == [what]


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ({"growth": 0.006}, "24 legs, 5% loss: growth of the delay"),
        ({"delay": 0.026}, "24 legs, 5% loss: p95 above that without loss"),
        ({"rate": 48.0}, "24 legs, 5% loss: packets/s on the worst leg"),
    ],
)
def test_each_target_under_loss_can_be_missed_by_itself(figures, what):
    clean = make_run("bridge", cpu=0.5)
    assert missed([clean, make_run("bridge", cpu=0.5, loss=0.05, **figures)]) == [what]


def test_a_delay_that_was_never_heard_meets_no_target():
    run = make_run("bridge", cpu=0.5)
    run.windows[0].delays = []
    assert "24 legs: echo delay p95" in missed([run])


def test_a_figure_without_measurements_is_null_in_json():
    run = make_run("bridge", cpu=0.5)
    run.windows[0].delays = []
    assert as_json(rows([run]), [], [])["rows"][0]["delay_p95"] is None


def test_stock_is_not_judged():
    assert verdicts(rows([make_run("stock", cpu=3.0, delay=0.3)])) == []


def test_the_report_has_a_line_for_every_server_and_every_target():
    table = rows([make_run("bridge", cpu=0.5), make_run("stock", cpu=3.0)])
    found = verdicts(table)
    text = markdown(table, found, ["a note"])
    assert text.count("| bridge |") == text.count("| stock  |") == 1
    assert text.count("| met") == len(found) == 5
    assert "- a note" in text
    assert as_json(table, found, ["a note"])["notes"] == ["a note"]
