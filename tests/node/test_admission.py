"""Which new calls a node admits."""

import pytest

from bridge.call.model import CallDetails, Direction, LineName
from bridge.call.quota import Quota
from bridge.errors import LimitExceeded
from bridge.metrics.registry import Metrics
from bridge.node.admission import Admission

LINE = LineName("one")


@pytest.fixture
def admission():
    return Admission(
        quota=Quota("calls", "limits.calls", 2),
        metrics=Metrics(version="0").calls,
        directory=None,
        number_of=lambda line: "+15550109000",
        overloaded=lambda: "",
    )


def test_a_call_over_the_limit_is_refused(admission):
    admission.check(LINE, of_line=1, of_all=1)
    with pytest.raises(LimitExceeded, match=r"limits\.calls"):
        admission.check(LINE, of_line=2, of_all=2)


def test_nothing_is_admitted_while_shutting_down(admission):
    admission.draining = True
    with pytest.raises(LimitExceeded, match="shutting down"):
        admission.check(LINE, of_line=0, of_all=0)


def test_nothing_is_admitted_without_the_database(admission):
    admission.database_lost = lambda: True
    with pytest.raises(LimitExceeded, match="the database cannot be reached") as caught:
        admission.check(LINE, of_line=0, of_all=0)
    assert (caught.value.status, caught.value.retry_after) == (503, 5)


async def test_a_counted_call_has_an_id_of_its_node_and_the_lines_own_number(admission):
    facts = await admission.count(LINE, "15550100001", Direction.OUTBOUND, CallDetails())
    assert (len(facts.call_id), facts.call_id[:2]) == (32, "00")
    assert facts.details.parties.from_ == "+15550109000"
    admission.uncount(facts)
