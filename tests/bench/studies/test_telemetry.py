import pytest

from tests.bench.studies.telemetry import report


@pytest.mark.full
def test_the_study_says_what_a_trace_of_each_kind_of_call_costs():
    lines = list(report(seconds=0.6, rate=10.0))
    assert [line.split(",")[0] for line in lines if not line.startswith(" ")] == [
        "two legs: 13 spans",
        "an agent",
    ]
