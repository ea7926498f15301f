"""The study of kills: how it judges, and a sample of it."""

import pytest

from tests.bench.studies.recoveries.kills import Found, Plan, leaks, study
from tests.bench.studies.recoveries.table import Goal, rendered
from tests.support.peers.light_peer import patient_peers

PLAN = Plan(name="kill -9", legs=50, kills=1, goal=Goal(300, 1000))


def table(**found):
    return rendered(Found(**found).rows(PLAN))


def test_each_leg_is_to_survive_and_of_many_nearly_each():
    assert "| all | 50 of 50, 100.00 % | met |" in table(legs=50)
    assert "| all | 49 of 50, 98.00 % | **missed** |" in table(legs=50, lost=["a"])
    assert "| >= 99.9 % | 999 of 1000, 99.90 % | met |" in table(legs=1000, lost=["a"])
    assert "| >= 99.9 % | 998 of 1000, 99.80 % | **missed** |" in table(legs=1000, lost=["a", "b"])


def test_times_are_beside_their_goal():
    assert "p95 300, max 1000 | 100, 280, 300 | met |" in table(silences=[100.0, 100.0, 300.0])
    assert "p95 300, max 1000 | 400, 400, 400 | **missed** |" in table(silences=[400.0])
    assert "p95 300, max 1000 | none |  |" in table()


def test_a_process_may_have_a_few_descriptors_more():
    before = {"supervisor": 10, "node": 30}
    assert leaks(before, {"supervisor": 12, "node": 30}) == []
    assert leaks(before, {"supervisor": 12, "node": 40}) == ["node: 30 before, 40 after"]


@pytest.mark.full
@pytest.mark.real_time
async def test_all_legs_survive_two_kills_and_no_number_is_used_twice():
    with patient_peers():
        found = await study(Plan(name="sample", legs=10, kills=2, apart=0.0))
    assert found.faults() == {}
    assert found.legs == 20
