"""Timers on a clock that is told."""

from bridge.sip.transaction.timers import Timers


def test_timers_run_in_order_when_they_are_due():
    timers = Timers()
    ran: list[object] = []
    timers.at(2, lambda now: ran.append(("b", now)))
    timers.at(1, lambda now: ran.append(("a", now)))
    timers.at(1, lambda now: ran.append(("c", now)))
    timers.run(0.5)
    assert ran == []
    assert timers.next() == 1
    timers.run(2)
    assert ran == [("a", 2), ("c", 2), ("b", 2)]
    assert timers.next() is None


def test_a_canceled_timer_does_nothing_and_is_not_waited_for():
    timers = Timers()
    ran: list[float] = []
    first = timers.at(1, ran.append)
    timers.at(2, ran.append)
    first.cancel()
    first.cancel()
    assert len(timers) == 1
    assert timers.next() == 2
    timers.run(3)
    first.cancel()
    assert ran == [3]
    assert len(timers) == 0


def test_a_timer_may_set_another_that_is_due_at_once():
    timers = Timers()
    ran: list[float] = []

    def again(now):
        timers.at(now, ran.append)

    timers.at(1, again)
    timers.run(1)
    assert ran == [1]


def test_canceled_timers_do_not_pile_up():
    timers = Timers()
    for n in range(100_000):
        timers.at(1000 + n, lambda now: None).cancel()
    assert len(timers) == 0
    assert len(timers._heap) < 200
