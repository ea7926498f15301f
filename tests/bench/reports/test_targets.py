"""The targets of the bench: each can be missed by itself, and what was not measured is not judged."""

import math

import pytest

from tests.bench.capacity import capacity
from tests.bench.generators.speech import Heard
from tests.bench.measure import PacketDelays, Run, Window
from tests.bench.reports.rows import rows
from tests.bench.reports.targets import Results, verdicts
from tests.bench.reports.test_reading import BUSY_READING, CALM
from tests.bench.slices import Slice
from tests.bench.studies.paths import JANUS as JANUS_NAME
from tests.bench.studies.paths import OURS, PYTHON, compared

QUIET = [(0.001, 100.0), (0.005, 100.0), (math.inf, 100.0)]
BUSY = [(0.001, 50.0), (0.005, 90.0), (0.01, 100.0), (math.inf, 100.0)]


def window(
    legs, *, what="", cpu=0.4, delay=0.001, rate=50.0, lag=QUIET, encoder_levels=(0.0,), **more
):
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
        encoder_levels=list(encoder_levels),
        **more,
    )


def run(target, *windows, answer=0.01):
    return Run(target, [answer] * 96, [0.05] * 96, list(windows))


def judged(*runs, **more):
    results = Results(runs=list(runs), **more)
    return verdicts(results, rows(results.runs))


def missed(*runs, **more):
    return [one.what for one in judged(*runs, **more) if one.missed]


JANUS = run("janus", window(24, cpu=1.2, delay=0.12))
STOCK = run("stock", window(24, cpu=3.0, delay=0.1))


def test_a_bridge_that_reaches_everything_misses_nothing():
    assert missed(run("echo", window(24)), JANUS, STOCK) == []


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        ({"delay": 0.006}, "24 legs: echo, delay p95"),
        ({"rate": 49.7}, "24 legs: echo, packets/s on the worst leg"),
        ({"encoder_levels": [0.0, 1.0]}, "encoder level does not change"),
    ],
)
def test_each_target_of_an_echo_can_be_missed_by_itself(figures, what):
    assert missed(run("echo", window(24, **figures)), JANUS, STOCK) == [what]


def test_what_a_busy_machine_missed_is_not_judged():
    calm = run("pcm", window(24, reading=CALM))
    late = run("echo", window(24, delay=0.006, encoder_levels=[0.0, 1.0], reading=BUSY_READING))
    results = Results(runs=[calm, late])
    found = verdicts(results, rows(results.runs, results.best))
    assert [one.what for one in found if not one.met] != []
    assert [one.what for one in found if one.missed] == []
    assert [one for one in found if "pcm" in one.what and one.busy] == []


def test_the_answer_to_an_offer_may_be_late():
    assert missed(run("echo", window(24), answer=0.03)) == ["24 legs: echo, offer answered p95"]


def in_turn(load, legs, costs):
    slices = [Slice(build=name, cpu_per_leg=cost, worst_rate=50.0) for name, cost in costs.items()]
    rounds = [slices] * 3
    return list(compared(load, legs, rounds))


@pytest.mark.parametrize(
    ("load", "cost", "met"),
    [("pcm", 0.32, True), ("pcm", 0.33, False), ("passthrough", 0.16, False), ("echo", 0.40, True)],
)
def test_servers_that_took_turns_are_judged_by_their_ratio(load, cost, met):
    (found,) = judged(paths=in_turn(load, 24, {OURS: cost, JANUS_NAME: 1.0}))
    assert found.what == f"24 legs: CPU per leg, {load} / Janus"
    assert found.met is met


def test_the_path_in_python_is_compared_but_not_judged():
    found = in_turn("pcm", 48, {OURS: 0.3, PYTHON: 0.6, JANUS_NAME: 1.0})
    assert [one.load for one in found] == [
        "48 legs: CPU per leg, pcm / Janus",
        "48 legs: CPU per leg, pcm by Python's path / Janus",
        "48 legs: CPU per leg, pcm / bridge, Python path",
    ]
    assert len(judged(paths=found)) == 1


def test_rounds_in_which_a_server_fell_behind_or_caught_up_are_left_out():
    def a_round(cost, rate):
        ours = Slice(build=OURS, cpu_per_leg=0.3, worst_rate=50.0)
        return [ours, Slice(build=JANUS_NAME, cpu_per_leg=cost, worst_rate=rate)]

    (found,) = compared("pcm", 24, [a_round(1.0, 50.0), a_round(3.0, 140.0), a_round(0.5, 30.0)])
    assert (found.ratio, found.rounds) == (0.3, 1)
    assert list(compared("pcm", 24, [a_round(3.0, 140.0)])) == []


@pytest.mark.parametrize(("delay", "misses"), [(0.001, 0), (0.003, 1)])
def test_what_passes_through_has_a_delay_of_its_own(delay, misses):
    assert len(missed(run("passthrough", window(24, delay=delay)))) == misses


def test_delays_are_not_judged_where_a_core_may_be_full():
    assert missed(run("echo", window(200, delay=0.5, rate=20.0))) == []


@pytest.mark.parametrize(("cost", "met"), [(0.04, True), (0.05, False)])
def test_a_silent_leg_may_cost_a_tenth_of_a_talking_one(cost, met):
    found = judged(run("pcm silent", window(96), window(96, what="silent", cpu=cost)))
    assert [one.met for one in found if "silent" in one.what] == [met]


def test_others_are_not_judged():
    assert {one.what for one in judged(JANUS, STOCK)} == {"encoder level does not change"}


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


def carried(p99, **more):
    return PacketDelays(packets=80_000, p50=0.0002, p99=p99, longest=0.02, **more)


def steps(legs, *, unscraped=0.002, scraped=0.003, lateness=0.001, **more):
    """Two windows of one number of legs, as the bench makes them."""
    return [
        window(legs, transit=carried(unscraped), lateness=lateness, **more),
        window(
            legs,
            what="scraped every 5 s",
            transit=carried(scraped),
            at_scrapes=carried(2 * scraped),
            scrapes=[0.01, 0.01],
            lateness=lateness,
            **more,
        ),
    ]


def test_capacity_is_what_was_measured_where_the_server_gave_in():
    found = capacity(run("pcm capacity", window(160), window(200, lag=BUSY)))
    assert found is not None
    assert (found.calls, found.extrapolated, found.measured) == (80, False, 80)


def test_capacity_is_told_with_scrapes_and_without():
    found = capacity(run("pcm capacity", *steps(240), *steps(300, scraped=0.006)))
    assert found is not None
    assert (found.calls, found.extrapolated, found.beyond) == (120, False, 150)
    assert (found.unscraped, found.scraped, found.at_scrapes) == (0.002, 0.003, 0.006)
    assert found.lag_beyond == 0.006


def test_a_server_that_takes_no_more_calls_has_reached_its_capacity():
    full = run("pcm capacity", *steps(240, cpu=0.2))
    full.broke_off = "260 legs"
    found = capacity(full)
    assert found is not None
    assert (found.calls, found.extrapolated) == (120, False)


def test_packets_late_at_fewer_calls_end_what_counts_as_carried():
    found = capacity(run("pcm capacity", *steps(160), *steps(200, unscraped=0.007), *steps(240)))
    assert found is not None
    assert found.calls == 80


@pytest.mark.parametrize(
    ("path", "calls", "met"),
    [("compiled", 89, False), ("compiled", 90, True), ("python", 59, False), ("", 60, True)],
)
def test_each_packet_path_has_a_number_of_calls_to_carry(path, calls, met):
    windows = [*steps(2 * calls, packet_path=path), *steps(2 * calls + 2, scraped=0.009)]
    (found,) = [one for one in judged(run("pcm capacity", *windows)) if "two-leg" in one.what]
    assert found.met is met


def test_two_runs_over_the_same_path_are_judged_once():
    found = judged(
        run("pcm capacity", *steps(240), *steps(300, scraped=1.0)),
        run("pcm python capacity", *steps(240), *steps(300, scraped=1.0)),
    )
    assert [one.what for one in found if "two-leg" in one.what] == [
        "two-leg calls on a core, pcm, python path, p99 < 5 ms"
    ]


def test_capacity_is_extrapolated_where_the_generator_gave_in():
    found = capacity(run("passthrough capacity", window(160, cpu=0.2)))
    assert found is not None
    assert (found.calls, found.extrapolated, found.measured) == (225, True, 80)
    late = capacity(
        run("passthrough capacity", window(160, cpu=0.2), window(320, lag=BUSY, lateness=1))
    )
    assert late is not None
    assert (late.calls, late.extrapolated, late.measured) == (225, True, 80)


def test_there_is_no_capacity_where_the_lag_was_never_small():
    assert capacity(run("pcm capacity", window(160, lag=BUSY))) is None
    assert missed(run("pcm capacity", window(160, lag=BUSY))) == [
        "two-leg calls on a core, pcm, python path, p99 < 5 ms"
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
