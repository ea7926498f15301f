import pytest

from bridge.api.server.reads import LargeBodies
from bridge.call.model import LineName
from bridge.errors import LimitExceeded

ONE, TWO = LineName("one"), LineName("two")


def test_a_line_has_at_most_so_many_large_requests_in_progress():
    bodies = LargeBodies(2)
    with (
        bodies.one(ONE),
        bodies.one(ONE),
        bodies.one(TWO),
        pytest.raises(LimitExceeded, match="large_bodies_per_line"),
        bodies.one(ONE),
    ):
        pass
    assert (bodies.in_progress[ONE], bodies.in_progress[TWO]) == (0, 0)


def test_a_failed_request_is_no_longer_in_progress():
    bodies = LargeBodies(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), bodies.one(ONE):
            raise ZeroDivisionError
