"""The study of upgrades: how it counts, and a sample of it."""

import pytest

from tests.bench.generators.all_calls import PASSED, Placed
from tests.bench.studies.recoveries.events import EVENTS, Told
from tests.bench.studies.recoveries.table import rendered
from tests.bench.studies.recoveries.upgrades import Found, check_events, gap, study
from tests.support.peers.light_peer import patient_peers

CALL = Placed("echo", "01A", "demo")
TIMES = [0.02 * number for number in range(500)]


def test_a_gap_is_what_is_beyond_the_usual_between_two_packets():
    late = [at for at in TIMES if not 5.01 < at < 5.11]
    assert gap(late, 0.02, 4.0, 6.0) == pytest.approx(100)
    assert gap(late, 0.02, 6.0, 8.0) == pytest.approx(0, abs=0.01)


def test_a_gap_that_lasts_is_one_and_so_is_one_that_began_before():
    assert gap([at for at in TIMES if at < 7.5], 0.02, 4.0, 8.0) == pytest.approx(500)
    assert gap([at for at in TIMES if not 3.5 < at < 4.5], 0.02, 4.0, 8.0) == pytest.approx(980)


def test_who_is_held_has_no_gap():
    assert gap(TIMES[::10], 0.02, 4.0, 6.0) is None


def told(changed: dict[str, int]) -> list[Told]:
    counts = EVENTS | {"call.recovered": 2, "call.problem": 7, "call.answered": 1} | changed
    return [Told(CALL.call_id, kind, {}) for kind, count in counts.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({}, {}),
        ({"call.ended": 2}, {"doubled": ["echo: 2 of 1 call.ended"]}),
        ({"call.answered": 2}, {"doubled": ["echo: 2 of 1 call.answered"]}),
        ({"leg.left": 1}, {"missing": ["echo: 1 of 2 leg.left"]}),
        ({"call.recovered": 1}, {"missing": ["echo: 1 of 2 call.recovered"]}),
        ({"leg.restarted": 1}, {"restarts": 1}),
    ],
)
def test_events_that_are_doubled_or_missing_are_named(changed, faults):
    found = Found()
    check_events([CALL], told(changed), 2, found)
    assert found.faults() == faults


def test_the_table_has_the_times_beside_their_goals():
    found = Found(ended=["x"])
    found.gaps[PASSED] += [10.0, 20.0, 130.0]
    table = rendered(found.rows())
    assert "| upgrades: calls ended | 0 | 1 | **missed** |" in table
    assert "p95 60, max 150 | 20, 119, 130 | **missed** |" in table
    assert "p95 120, max 300 | 20, 119, 130 | met |" in rendered(found.rows(factor=2.0))


@pytest.mark.full
@pytest.mark.real_time
async def test_nobody_notices_two_upgrades_beneath_a_call_of_each_kind():
    with patient_peers():
        found = await study(upgrades=2, calls=10, pause=0.5)
    assert found.faults() == {}
