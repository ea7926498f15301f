"""How much of each item of a model's speech was heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.stream.realtime import MAX_PARTS, SpokenItems, Unheard


def spoken(*items: tuple[str, float], played: float = 0.0) -> SpokenItems:
    found = SpokenItems()
    for item_id, seconds in items:
        found.add(item_id, 0, seconds, played=played)
    return found


def test_an_item_is_cut_where_the_queue_has_come_to():
    assert spoken(("a", 2.0)).interrupt(0.58) == [Unheard("a", 0, 580)]


def test_an_item_begins_where_the_audio_before_it_ends():
    assert spoken(("a", 1.0), ("b", 2.0)).interrupt(1.5) == [Unheard("b", 0, 500)]


def test_an_item_that_has_not_begun_was_not_heard_at_all():
    unheard = spoken(("a", 1.0), ("b", 2.0)).interrupt(0.3)
    assert unheard == [Unheard("a", 0, 300), Unheard("b", 0, 0)]


def test_audio_that_comes_in_pieces_is_one_item():
    assert spoken(("a", 0.5), ("a", 0.5)).interrupt(0.75) == [Unheard("a", 0, 750)]


def test_parts_of_an_item_are_cut_one_by_one():
    items = SpokenItems()
    items.add("a", 0, 1.0, played=0.0)
    items.add("a", 1, 1.0, played=0.0)
    assert items.interrupt(1.25) == [Unheard("a", 1, 250)]


@pytest.mark.parametrize("played", [1.0, 0.96, 7.0])
def test_what_was_heard_to_its_end_is_not_cut(played):
    assert spoken(("a", 1.0)).interrupt(played) == []


def test_what_was_interrupted_is_forgotten_and_the_next_item_begins_behind_it():
    items = spoken(("a", 2.0))
    items.interrupt(0.5)
    items.add("b", 0, 1.0, played=2.0)
    assert items.interrupt(2.25) == [Unheard("b", 0, 250)]


def test_only_so_many_items_are_remembered():
    items = spoken(*((str(number), 0.1) for number in range(3 * MAX_PARTS)))
    assert len(items.interrupt(0.0)) == MAX_PARTS


def test_items_that_were_heard_are_forgotten_first():
    items = spoken(("a", 1.0))
    for number in range(3 * MAX_PARTS):
        items.add(str(number), 0, 1.0, played=1.0 + number)
    assert len(items.interrupt(3.0 * MAX_PARTS)) == 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 9.0)), max_size=9),
    st.floats(-1.0, 99.0),
)
def test_no_item_is_cut_beyond_its_length(items, played):
    longest: dict[str, float] = {}
    for item_id, seconds in items:
        longest[item_id] = longest.get(item_id, 0.0) + seconds
    for item_id, _, heard_ms in spoken(*items).interrupt(played):
        assert 0 <= heard_ms <= longest[item_id] * 1000 + 0.001
