import pytest

from bridge.api.large_bodies import LargeBodies
from bridge.call.model import LineName
from bridge.errors import LimitExceeded

ONE, TWO = LineName("one"), LineName("two")


def test_a_line_has_no_more_large_requests_under_way_than_it_may():
    bodies = LargeBodies(2)
    with (
        bodies.one(ONE),
        bodies.one(ONE),
        bodies.one(TWO),
        pytest.raises(LimitExceeded, match="large_bodies_per_line"),
        bodies.one(ONE),
    ):
        pass
    assert (bodies.under_way(ONE), bodies.under_way(TWO)) == (0, 0)


def test_a_request_that_fails_is_under_way_no_more():
    bodies = LargeBodies(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), bodies.one(ONE):
            raise ZeroDivisionError
