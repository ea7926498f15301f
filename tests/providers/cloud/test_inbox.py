"""Events of calls that are not known yet."""

from collections import Counter

import pytest

from bridge.providers.cloud.inbox import HELD_CALLS, HELD_SECONDS, KEYS_KEPT, Inbox
from bridge.wire.cloud import Status, StatusChanged, Terminated


class Bench:
    def __init__(self):
        self.now = 0.0
        self.counts: Counter[str] = Counter()
        self.inbox = Inbox(lambda: self.now, count=lambda word: self.counts.update([word]))


@pytest.fixture
def bench():
    return Bench()


def ringing(wacid="a"):
    return StatusChanged(wacid, "900", 1.0, Status.RINGING)


def over(wacid="a"):
    return Terminated(wacid, "900", 1.0, False, False, ())


def test_an_event_is_known_when_it_comes_again(bench):
    assert not bench.inbox.is_duplicate(ringing())
    assert bench.inbox.is_duplicate(ringing())
    assert not bench.inbox.is_duplicate(over())


def test_events_wait_for_their_call_in_their_order(bench):
    bench.inbox.hold("a", ringing())
    bench.inbox.hold("a", over())
    assert bench.inbox.take("b") == []
    assert bench.inbox.take("a") == [ringing(), over()]
    assert bench.inbox.take("a") == []


def test_an_end_that_came_first_is_known(bench):
    assert not bench.inbox.is_over("a")
    bench.inbox.hold("a", over())
    assert bench.inbox.is_over("a")


def test_nothing_waits_for_ever(bench):
    bench.inbox.hold("a", ringing())
    bench.now = HELD_SECONDS + 1
    assert bench.inbox.take("a") == []
    assert bench.counts == {"dropped": 1}


def test_nothing_waits_for_a_call_that_is_over(bench):
    bench.inbox.close("a")
    bench.inbox.hold("a", over())
    assert bench.inbox.take("a") == []
    assert bench.counts == {"late": 1}


def test_the_oldest_go_when_there_are_too_many(bench):
    for number in range(HELD_CALLS + 1):
        bench.inbox.hold(str(number), ringing(str(number)))
    assert bench.inbox.take("0") == []
    assert bench.inbox.take("1") == [ringing("1")]
    assert bench.counts == {"dropped": 1}


def test_the_oldest_keys_go_when_there_are_too_many(bench):
    for number in range(KEYS_KEPT + 1):
        assert not bench.inbox.is_duplicate(ringing(str(number)))
    assert bench.inbox.is_duplicate(ringing("1"))
    assert not bench.inbox.is_duplicate(ringing("0"))


def test_what_another_node_counts_is_not_counted_here(bench):
    bench.inbox.hold("a", ringing(), elsewhere=True)
    bench.inbox.hold("b", ringing("b"))
    bench.inbox.mark_known_elsewhere("b")
    bench.inbox.mark_known_elsewhere("unknown")
    bench.now = HELD_SECONDS + 1
    assert bench.inbox.held() == []
    assert bench.counts == {}
    bench.inbox.hold("a", ringing())
    bench.now *= 3
    assert bench.inbox.take("a") == []
    assert bench.counts == {"dropped": 1}
