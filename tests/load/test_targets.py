"""The targets of the bench: each can be missed by itself, and what was not measured is not judged."""

import math

import pytest

from tests.load.measure import Run, Window
from tests.load.rows import rows
from tests.load.speech import Heard
from tests.load.targets import Results, capacity, verdicts

QUIET = [(0.001, 100.0), (0.005, 100.0), (math.inf, 100.0)]
BUSY = [(0.001, 50.0), (0.005, 90.0), (0.01, 100.0), (math.inf, 100.0)]


def window(legs, *, what="", cpu=0.4, delay=0.001, rate=50.0, lag=QUIET, rungs=(0.0,), **more):
    return Window(
        legs=legs,
        what=what,
        seconds=10.0,
        cpu_per_leg=cpu,
        delays=[delay] * 100,
        rates=[rate],
        onsets_sent=100,
        offsets=[0.009],
        lag=lag,
        rungs=list(rungs),
        **more,
    )


def run(target, *windows, answer=0.01):
    return Run(target, [answer] * 96, [0.05] * 96, list(windows))


def judged(*runs, **more):
    results = Results(runs=list(runs), **more)
    return verdicts(results, rows(results.runs))


def missed(*runs, **more):
    return [one.what for one in judged(*runs, **more) if not one.met]


JANUS = run("janus", window(24, cpu=1.2, delay=0.12))
STOCK = run("stock", window(24, cpu=3.0, delay=0.1))


def test_a_bridge_that_reaches_everything_misses_nothing():
    assert missed(run("echo", window(24)), JANUS, STOCK) == []


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ({"cpu": 0.541}, "24 legs: CPU per leg, echo / stock"),
        ({"delay": 0.006}, "24 legs: echo, delay p95"),
        ({"rate": 49.7}, "24 legs: echo, packets/s on the worst leg"),
        ({"rungs": [0.0, 1.0]}, "encoder rung does not change"),
    ],
)
def test_each_target_of_an_echo_can_be_missed_by_itself(figures, what):
    others = [STOCK] if "stock" in what else [JANUS, STOCK]
    assert missed(run("echo", window(24, **figures)), *others) == [what]


def test_the_answer_to_an_offer_may_be_late():
    assert missed(run("echo", window(24), answer=0.03)) == ["24 legs: echo, offer answered p95"]


def test_a_ratio_says_how_it_stands_with_the_aim():
    found = judged(run("echo", window(24, cpu=0.5)), JANUS)
    assert (found[0].measured, found[0].met, found[0].aim) == ("0.42", True, "aim 0.35 missed")


@pytest.mark.parametrize(("cpu", "delay", "misses"), [(0.23, 0.001, 0), (0.25, 0.003, 2)])
def test_what_is_relayed_has_targets_of_its_own(cpu, delay, misses):
    assert len(missed(run("relay", window(24, cpu=cpu, delay=delay)), JANUS)) == misses


def test_others_are_not_judged():
    assert {one.what for one in judged(JANUS, STOCK)} == {"encoder rung does not change"}


def test_a_delay_that_was_never_heard_meets_no_target():
    silent = window(24)
    silent.delays = []
    assert "24 legs: echo, delay p95" in missed(run("echo", silent))


@pytest.mark.parametrize(("costs", "met"), [((0.9, 0.6, 0.5), True), ((0.9, 0.5, 0.6), False)])
def test_cpu_per_leg_may_not_rise_with_the_load(costs, met):
    legs = zip((4, 24, 48), costs, strict=True)
    found = judged(run("echo", *(window(number, cpu=cost) for number, cost in legs)))
    assert [one.met for one in found if "does not rise" in one.what] == [met]


@pytest.mark.parametrize(("added", "met"), [(0.6e6, True), (0.8e6, False)])
def test_memory_is_judged_from_24_to_48_legs(added, met):
    grown = run("echo", window(24), window(48, resident=round(24 * added)))
    assert [one.met for one in judged(grown) if "memory" in one.what] == [met]


def test_capacity_is_what_was_measured_where_the_server_gave_in():
    found = capacity(run("pcm capacity", window(160), window(200, lag=BUSY)))
    assert found is not None
    assert (found.calls, found.extrapolated, found.measured) == (80, False, 80)


def test_capacity_is_extrapolated_where_the_generator_gave_in():
    found = capacity(run("relay capacity", window(160, cpu=0.2)))
    assert found is not None
    assert (found.calls, found.extrapolated, found.measured) == (225, True, 80)
    late = window(320, lag=BUSY, lateness=0.05)
    assert capacity(run("relay capacity", window(160, cpu=0.2), late)) == found


def test_there_is_no_capacity_where_the_lag_was_never_small():
    assert capacity(run("pcm capacity", window(160, lag=BUSY))) is None
    assert missed(run("pcm capacity", window(160, lag=BUSY))) == [
        "two-leg calls on a core, pcm, lag p99 < 5 ms"
    ]


@pytest.mark.parametrize(("two", "met"), [(0.43, True), (0.45, False)])
def test_two_nodes_may_cost_a_tenth_more_than_one(two, met):
    found = judged(run("one node", window(48)), run("two nodes", window(48, cpu=two)))
    assert [one.met for one in found if "two nodes" in one.what] == [met]


@pytest.mark.parametrize(("wrong", "met"), [(0.0019, True), (0.0022, False)])
def test_the_way_round_may_cost_a_millisecond(wrong, met):
    (found,) = judged(crossing={"right": [0.001] * 3, "wrong": [wrong] * 3})
    assert found.met is met


@pytest.mark.parametrize(
    ("figures", "misses"),
    [
        ({}, []),
        ({"delay": 0.03}, ["2 s after 5% loss: delay above before"]),
    ],
)
def test_the_delay_is_back_two_seconds_after_a_spell_of_loss(figures, misses):
    spell = [window(24), window(24, what="5% loss", delay=0.2)]
    after = window(24, what="after 5% loss", **figures)
    assert missed(run("loss", *spell, after)) == misses


def test_packets_go_on_during_a_spell_of_loss():
    spell = window(24, what="5% loss", rate=48.0)
    assert missed(run("loss", window(24), spell)) == ["5% loss, packets/s on the worst leg"]


def test_the_worst_voice_is_judged():
    def heard(voice, bridge):
        return Heard(voice=voice, loss=0.05, lost=20, packets=400, bridge=bridge, libopus=2.7)

    (found,) = judged(speech=[heard("a", 2.9), heard("b", 2.5)])
    assert (found.measured, found.met) == ("-0.20", False)


@pytest.mark.parametrize(
    ("figures", "misses"),
    [
        ({"concealed": 0.009}, 0),
        ({"concealed": 0.011}, 1),
        ({"concealed": 0.0, "delay": 0.13}, 1),
    ],
)
def test_a_mix_under_jitter_has_a_longest_delay_and_few_frames_made_up(figures, misses):
    rough = window(24, what="jitter 30 ms", **{"delay": 0.1} | figures)
    assert len(missed(run("mix", window(24), rough))) == misses
