"""How the cost of copies is judged."""

from tests.bench.studies.recoveries.cost import Found
from tests.bench.studies.recoveries.table import rendered


def test_each_round_is_compared_with_its_own():
    found = Found(enabled=[1.0, 2.0, 1.01], disabled=[1.0, 2.0, 1.0], copying=[0.001, 0.002, 0.1])
    assert found.ratios() == [1.0, 1.0, 1.01]
    table = rendered(found.rows())
    assert "| 1.01 | 1.000 (1.000 to 1.010) | met |" in table
    assert "| 1 % | 0.100 % | met |" in table


def test_copies_that_cost_too_much_are_a_fault():
    table = rendered(Found(enabled=[1.0], disabled=[1.0], copying=[0.02]).rows())
    assert "| 1 % | 2.000 % | **missed** |" in table
