"""What is queued for the writer's thread."""

import pytest

from bridge.db.group import GROUP, Marker, WriteQueue


def marker():
    return Marker(lambda result, error: None)


@pytest.fixture
def queue():
    return WriteQueue()


def test_items_are_taken_in_order_and_in_groups(queue):
    items = [marker() for _ in range(GROUP + 1)]
    for item in items:
        assert queue.put(item)
    taken = [queue.take(0.0), queue.take(0.0)]
    assert [list(map(id, group)) for group in taken] == [
        list(map(id, items[:GROUP])),
        list(map(id, items[GROUP:])),
    ]


def test_it_is_busy_until_a_group_is_done(queue):
    queue.put(marker())
    queue.take(0.0)
    assert queue.busy
    assert queue.done()
    assert not queue.busy


def test_who_was_woken_takes_nothing_once_without_waiting(queue):
    queue.wake()
    assert queue.take(None) == []


def test_what_was_queued_before_it_was_closed_can_still_be_taken(queue):
    queue.put(marker())
    queue.close()
    assert not queue.put(marker())
    assert not queue.busy
    assert len(queue.take(None)) == 1
    assert not queue.done()
