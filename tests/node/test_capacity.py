import pytest

from bridge.call.model import LineName
from bridge.errors import LimitExceeded
from bridge.node.capacity import LEGS_PER_CALL, ManagerLimits, check_capacity, check_room

ONE, TWO = LineName("one"), LineName("two")


def limits(calls, calls_per_line=0):
    return ManagerLimits(calls=calls, calls_per_line=calls_per_line, kept_seconds=60)


def test_a_call_more_than_the_bridge_may_have_is_refused():
    check_capacity(limits(3), ONE, [ONE, TWO])
    with pytest.raises(LimitExceeded, match=r"limits\.calls") as refused:
        check_capacity(limits(2), ONE, [ONE, TWO])
    assert refused.value.limit == "calls"


def test_a_call_more_than_the_line_may_have_is_refused_to_that_line_only():
    check_capacity(limits(9, calls_per_line=1), ONE, [TWO])
    with pytest.raises(LimitExceeded, match="calls_per_line") as refused:
        check_capacity(limits(9, calls_per_line=1), ONE, [ONE, TWO])
    assert refused.value.limit == "line"


def test_of_two_lines_none_takes_the_last_fifth_from_one_that_has_no_call():
    shared = ManagerLimits(calls=10, calls_per_line=0, kept_seconds=60, lines=2)
    check_capacity(shared, ONE, [ONE] * 7)
    check_capacity(shared, TWO, [ONE] * 8)
    with pytest.raises(LimitExceeded) as refused:
        check_capacity(shared, ONE, [ONE] * 8)
    assert refused.value.limit == "share"


def test_a_call_takes_no_more_legs_than_it_may_have():
    check_room(LEGS_PER_CALL - 1)
    with pytest.raises(LimitExceeded):
        check_room(LEGS_PER_CALL)
