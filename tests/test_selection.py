"""Which suite a test belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.selection import runs_in, suite_of


class Item:
    """As much of a test as its suite depends on."""

    def __init__(self, *markers, parameters=None, fixtures=(), drawn=False):
        self._markers = [getattr(pytest.mark, name).mark for name in markers]
        self.fixturenames = fixtures
        self.callspec = type("CallSpec", (), {"params": parameters or {}})
        self.obj = type("Function", (), {"is_hypothesis_test": drawn})

    def iter_markers(self):
        return iter(self._markers)


@pytest.mark.parametrize(
    ("item", "suite"),
    [
        (Item(), "quick"),
        (Item("call"), "quick"),
        (Item("full"), "full"),
        (Item("browser"), "full"),
        (Item("browser", "quick"), "quick"),
        (Item("browser", "quick", "long"), "long"),
        (Item(fixtures=("s3_server",)), "full"),
        (Item(parameters={"nodes": "one_node"}), "quick"),
        (Item(parameters={"nodes": "wrong_machine"}), "full"),
        (Item("quick", parameters={"nodes": "wrong_machine"}), "quick"),
        (Item(parameters={"engine": "postgresql"}), "full"),
    ],
)
def test_a_test_is_of_the_suite_that_its_markers_and_parameters_name(item, suite):
    assert suite_of(item) == suite


def test_every_test_runs_in_its_own_suite_and_property_tests_are_drawn_anew_in_the_full_one():
    assert [runs_in(Item(), suite) for suite in ("quick", "full", "long")] == [True, False, False]
    assert runs_in(Item(drawn=True), "full")
    assert not runs_in(Item("long", drawn=True), "full")


def test_by_hand_all_but_long_tests_run():
    assert runs_in(Item("full"), None)
    assert not runs_in(Item("long"), None)


def test_a_property_test_that_fails_shows_with_which_values():
    @given(number=st.just(7))
    def fails(number: int) -> None:
        assert number < 7

    with pytest.raises(AssertionError) as failed:
        fails()
    assert "number=7" in "".join(failed.value.__notes__)
