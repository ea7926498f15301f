"""The 20 ms clock, on a loop whose time the test turns."""

import itertools
from collections import Counter
from collections.abc import Callable

import pytest

from bridge.node.clock import (
    BATCH_SECONDS,
    GATHERED,
    MAX_CATCH_UP,
    PHASES,
    TICKS_AT_ONCE,
    Clock,
)


class Timer:
    def __init__(self, when: float, work: Callable[[], None]) -> None:
        self.when, self.work, self.cancelled = when, work, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Just enough of an event loop: a time and timers."""

    def __init__(self) -> None:
        self.now = 100.001
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when, work, *arguments):
        timer = Timer(when, lambda: work(*arguments))
        self.timers.append(timer)
        return timer

    def call_soon(self, work, *arguments):
        return self.call_at(self.now, work, *arguments)

    def run_until(self, moment: float, *, stall: float = 0.0) -> None:
        """Fire what is due in order; with `stall` the loop wakes up that much too late, once."""
        while due := [t for t in self.pending() if t.when <= moment]:
            timer = min(due, key=lambda t: t.when)
            self.now = max(self.now, timer.when) + stall
            stall = 0.0
            self.timers.remove(timer)
            timer.work()
        self.now = max(self.now, moment)

    def pending(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.cancelled]


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def clock(loop: Loop) -> Clock:
    return Clock(loop)  # type: ignore[arg-type]


def test_a_member_is_called_every_20_ms(loop, clock):
    ticks: list[float] = []
    clock.join(ticks.append)
    loop.run_until(100.99)
    assert len(ticks) == 49
    assert all(b - a == pytest.approx(0.02) for a, b in itertools.pairwise(ticks))


def phases_of(loop, clock, count):
    """When in 20 ms so many new members are called, and how many of them each time."""
    found: Counter[float] = Counter()
    members = [lambda now: found.update([round(now % 0.02, 3) % 0.02]) for _ in range(count)]
    for member in members:
        clock.join(member)
    loop.run_until(100.061)  # all have been called in a period that is whole
    found.clear()
    loop.run_until(100.081)
    return found


def test_a_wake_up_serves_several_members(loop, clock):
    assert list(phases_of(loop, clock, GATHERED).values()) == [GATHERED]


def test_a_phase_that_is_full_is_followed_by_another(loop, clock):
    found = phases_of(loop, clock, GATHERED + 1)
    assert sorted(found.values()) == [1, GATHERED]


def test_many_members_are_spread_evenly_over_the_phases(loop, clock):
    found = phases_of(loop, clock, PHASES * (GATHERED + 2))
    assert sorted(found.values()) == [GATHERED + 2] * PHASES


def test_who_joins_takes_the_place_of_one_that_left(loop, clock):
    first: list[float] = []
    clock.join(first.append)
    assert sorted(phases_of(loop, clock, GATHERED).values()) == [1, GATHERED - 1]
    clock.leave(first.append)
    again: list[float] = []
    clock.join(again.append)
    loop.run_until(100.2)
    assert {round(tick % 0.02, 3) % 0.02 for tick in again[1:]} == {
        round(tick % 0.02, 3) % 0.02 for tick in first[1:]
    }


def test_a_clock_nobody_is_on_stands_still(loop, clock):
    def tick(now: float) -> None:
        pass

    clock.join(tick)
    clock.leave(tick)
    assert loop.pending() == []


def test_a_late_clock_catches_up_and_counts(loop, clock):
    ticks: list[float] = []
    clock.join(ticks.append)
    loop.run_until(100.19, stall=0.045)
    assert clock.late_ticks == 2
    assert clock.skipped_ticks == 0
    assert len(ticks) == 9


def test_a_very_late_clock_skips_and_counts(loop, clock):
    ticks: list[float] = []
    clock.join(ticks.append)
    loop.run_until(100.05, stall=1.0)
    assert len(ticks) == MAX_CATCH_UP
    assert clock.skipped_ticks == 51 - MAX_CATCH_UP


def test_a_member_may_leave_during_its_tick(loop, clock):
    ticks: list[float] = []

    def once(now: float) -> None:
        ticks.append(now)
        clock.leave(once)

    clock.join(once)
    loop.run_until(100.99)
    assert len(ticks) == 1
    assert loop.pending() == []


def test_a_member_that_fails_is_logged_once_and_those_beside_it_go_on(loop, clock, caplog):
    ticks: list[float] = []

    def fail(now: float) -> None:
        raise RuntimeError("no frame")

    for member in (fail, *(lambda now: None for _ in range(PHASES - 1)), ticks.append):
        clock.join(member)
    loop.run_until(100.99)
    assert len(ticks) == 49
    assert caplog.messages == ["clock.member_failed"]


def test_members_of_a_phase_are_called_a_few_at_a_time(loop):
    steps: list[float] = []
    ticks: list[float] = []
    clock = Clock(loop, steps.append)
    for _ in range(PHASES * GATHERED):
        clock.join(lambda now: ticks.append(now))
    loop.run_until(100.039)
    assert len(ticks) == PHASES * GATHERED
    assert len(steps) == PHASES * GATHERED / TICKS_AT_ONCE


def test_a_member_that_leaves_before_its_turn_is_not_called(loop, clock):
    ticks: list[float] = []
    waiting = ticks.append

    def leave(now: float) -> None:
        clock.leave(waiting)

    for member in (leave, *(lambda now: None for _ in range(PHASES - 1)), waiting):
        clock.join(member)
    loop.run_until(101.0)
    assert ticks == []


def test_a_member_that_can_wait_is_called_batched(loop):
    clock = Clock(loop)
    often: list[float] = []
    batched: list[float] = []
    clock.join(often.append)
    clock.join(batched.append, batched=True)
    loop.run_until(loop.now + 2.0)
    assert len(often) == 100
    assert len(batched) == round(2.0 / BATCH_SECONDS)
    clock.leave(batched.append)
    loop.run_until(loop.now + 1.0)
    assert len(batched) == round(2.0 / BATCH_SECONDS)
