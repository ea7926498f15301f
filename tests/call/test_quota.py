from dataclasses import replace

import pytest

from bridge.call.quota import Quota
from bridge.errors import LimitExceeded

CALLS = Quota("calls", "limits.calls", 200, lines=2, line_setting="limits.calls_per_line")


def refusal(quota, of_line, of_all):
    """Say which limit refuses one more; None for none."""
    try:
        quota.check(of_line=of_line, of_all=of_all)
    except LimitExceeded as error:
        return error.limit
    return None


def test_nobody_gets_more_than_there_is():
    assert refusal(CALLS, 0, 199) is None
    assert refusal(CALLS, 0, 200) == "calls"


def test_the_only_line_may_have_all():
    assert refusal(replace(CALLS, lines=1), 199, 199) is None


def test_the_last_fifth_is_kept_for_lines_that_have_none():
    assert refusal(CALLS, 159, 159) is None
    assert refusal(CALLS, 160, 160) == "share"
    assert refusal(CALLS, 0, 160) is None


def test_of_the_last_fifth_each_line_may_have_an_equal_part():
    assert refusal(CALLS, 19, 179) is None
    assert refusal(CALLS, 20, 180) == "share"
    many = replace(CALLS, lines=100)
    assert refusal(many, 0, 199) is None
    assert refusal(many, 1, 160) == "share"


def test_where_there_is_too_little_to_share_nothing_is_kept():
    assert refusal(replace(CALLS, total=4), 3, 3) is None


def test_a_limit_that_the_operator_set_for_a_line_takes_the_place_of_the_share():
    own = replace(CALLS, per_line=190)
    assert refusal(own, 189, 189) is None
    assert refusal(own, 190, 190) == "line"


def test_a_refusal_names_the_setting():
    with pytest.raises(LimitExceeded, match=r"limits\.calls_per_line"):
        CALLS.check(of_line=160, of_all=160)
    with pytest.raises(LimitExceeded, match=r"lines that have fewer \(limits\.calls\)"):
        replace(CALLS, line_setting="").check(of_line=160, of_all=160)
    with pytest.raises(LimitExceeded, match=r"200 calls \(limits\.calls\)"):
        CALLS.check(of_line=0, of_all=200)
