"""The report of the bench."""

import json
import math

from tests.bench.generators.speech import Heard
from tests.bench.measure import Run, Window
from tests.bench.reports.report import as_json, markdown
from tests.bench.reports.rows import rows
from tests.bench.reports.targets import Results, verdicts
from tests.bench.studies.machines import Machines

LAG = [(0.001, 100.0), (math.inf, 100.0)]


def run(target, legs=24, *, cpu=0.5, delays=(0.005,)):
    window = Window(
        legs=legs,
        seconds=10.0,
        cpu_per_leg=cpu,
        delays=list(delays),
        rates=[50.0],
        onsets_sent=1,
        offsets=[0.009],
        lag=LAG,
        encoder_levels=[0.0],
    )
    return Run(target, [0.01] * legs, [0.05] * legs, [window])


def everything():
    heard = Heard(voice="a", loss=0.05, lost=20, packets=400, bridge=2.6, libopus=2.7)
    runs = [run("echo"), run("stock", cpu=3.0), run("janus", cpu=1.25), run("pcm capacity", 160)]
    return Results(
        runs=runs, speech=[heard], crossing={"right": [0.001], "wrong": [0.003]}, skipped=["x: y"]
    )


def written(results):
    table = rows(results.runs)
    return markdown(results, table, verdicts(results, table), ["a note"])


def test_every_server_stands_beside_what_it_is_compared_with():
    line = next(one for one in written(everything()).splitlines() if "bridge, echo" in one)
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[:4] == ["bridge, echo", "24", "clean", ""]
    assert cells[4:8] == ["0.500", "0.500 to 0.500", "0.40", "0.17"]


def test_a_server_is_not_compared_with_itself():
    line = next(one for one in written(everything()).splitlines() if "Janus AudioBridge," in one)
    assert line.split("|")[7].strip() == ""


def test_a_capacity_that_was_not_reached_is_marked():
    assert "| 90, extrapolated |" in written(everything())


def test_what_was_missed_is_said_plainly():
    text = written(everything())
    assert "**Missed: " in text


def test_machines_stand_beside_one_another():
    results = everything()
    results.machines = Machines(legs=24, one=[1.0], three=[1.05], right=[0.001], wrong=[0.002])
    text = written(results)
    assert "three machines / one" in text
    assert "the wrong machine" in text
    assert "request to the wrong node" in text.partition("**Missed: ")[2].partition("**")[0]
    assert "| **missed** |" in text


def test_what_was_not_measured_is_named():
    assert "- not measured: x: y" in written(everything())
    assert "- a note" in written(everything())


def test_voices_are_listed_with_their_median():
    text = written(everything())
    assert "| 20 of 400" in text
    assert "median of all" in text


def test_a_run_that_misses_nothing_says_so():
    assert "Every target was met." in written(Results(runs=[run("echo")]))


def test_a_figure_without_measurements_is_null_in_json():
    results = Results(runs=[run("echo", delays=())])
    table = rows(results.runs)
    tree = json.loads(json.dumps(as_json(results, table, [], []), allow_nan=False))
    assert tree["rows"][0]["delay_p95"] is None


def test_json_holds_all_there_is():
    results = everything()
    table = rows(results.runs)
    tree = as_json(results, table, verdicts(results, table), ["a note"])
    assert len(tree["rows"]) == 4
    assert len(tree["capacity"]) == len(tree["speech"]) == 1
    assert tree["skipped"] == ["x: y"]
    assert tree["notes"] == ["a note"]


def test_a_section_that_broke_off_is_named():
    results = Results(runs=[run("echo")], failed=["sockets"])
    assert "- **broke off: sockets**" in written(results)
