"""When each member is called, in virtual time."""

import asyncio
import itertools

import pytest

from bridge.log import call_id
from bridge.periodic import Periodic
from tests.support.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time


SLOTS, AT_ONCE = 50, 2


class Sampled:
    """Members that are called once a second, what was called when, and in which steps."""

    def __init__(self, call=None):
        self.at: dict[str, list[float]] = {}
        self.steps: list[int] = []
        self._step = 0
        self.failing: set[str] = set()
        self.periodic: Periodic[str] = Periodic(
            call or self.call, period=1.0, slots=SLOTS, at_once=AT_ONCE, took=self._took
        )

    def join(self, count):
        """Add members, which are called by their number."""
        for number in range(count):
            self.periodic.join(str(number))

    def call(self, member, now):
        self._step += 1
        self.at.setdefault(member, []).append(now)
        if member in self.failing:
            raise RuntimeError("a bug")

    def _took(self, seconds):
        self.steps.append(self._step)
        self._step = 0


async def test_each_member_is_called_once_a_second():
    sampled = Sampled()
    sampled.join(3 * SLOTS)
    await asyncio.sleep(4.99)
    assert {len(times) for times in sampled.at.values()} == {5}
    apart = [b - a for times in sampled.at.values() for a, b in itertools.pairwise(times)]
    assert apart == pytest.approx([1.0] * len(apart), abs=0.01)


async def test_members_are_spread_evenly_over_the_second():
    sampled = Sampled()
    sampled.join(2 * SLOTS)
    await asyncio.sleep(1.001)
    times = sorted(round(times[0], 3) for times in sampled.at.values())
    assert [len(list(same)) for _, same in itertools.groupby(times)] == [2] * SLOTS


async def test_a_step_calls_no_more_than_a_few():
    sampled = Sampled()
    sampled.join(5 * SLOTS)
    await asyncio.sleep(2.99)
    assert sum(sampled.steps) == 3 * 5 * SLOTS
    assert max(sampled.steps) == AT_ONCE


async def test_a_slot_is_filled_to_what_a_step_calls_before_another_is_begun():
    sampled = Sampled()
    sampled.join(2 * AT_ONCE + 1)
    await asyncio.sleep(0.99)
    assert sorted(sampled.steps) == [1, AT_ONCE, AT_ONCE]


async def test_a_member_that_left_is_not_called():
    sampled = Sampled()
    sampled.join(1)
    sampled.periodic.leave("0")
    sampled.periodic.leave("never joined")
    await asyncio.sleep(2.0)
    assert sampled.at == {}


async def test_a_member_may_leave_while_it_or_another_of_its_slot_is_called():
    sampled = Sampled()
    first, last = "0", str(SLOTS)

    def leave(member, now):
        sampled.call(member, now)
        if member == first:
            sampled.periodic.leave(first)
            sampled.periodic.leave(last)

    sampled = Sampled(leave)
    sampled.join(2 * SLOTS)
    await asyncio.sleep(2.99)
    assert len(sampled.at[first]) == 1
    assert last not in sampled.at
    assert len(sampled.at["1"]) == 3


async def test_a_loop_that_stood_still_calls_a_member_once_afterwards():
    sampled = Sampled()
    sampled.join(1)
    await asyncio.sleep(1.5)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.block(3.0)
    before = len(sampled.at["0"])
    await asyncio.sleep(0.001)
    assert len(sampled.at["0"]) == before + 1


async def test_a_timer_that_fires_early_calls_a_member_once():
    sampled, loop = Sampled(), asyncio.get_running_loop()
    await asyncio.sleep(0.5)
    sampled.join(1)
    usual = loop.call_at
    loop.call_at = lambda when, *work, **more: usual(when - 0.001, *work, **more)  # type: ignore[method-assign]
    await asyncio.sleep(4.0)
    assert len(sampled.at["0"]) == 4


async def test_a_member_that_fails_is_logged_and_the_others_go_on(caplog):
    sampled = Sampled()
    sampled.failing = {"0"}
    sampled.join(2)
    await asyncio.sleep(0.99)
    assert caplog.messages == ["periodic.failed"]
    assert len(sampled.at["1"]) == 1


async def test_logs_of_later_calls_do_not_name_the_call_that_joined_first():
    seen: list[str] = []
    sampled = Sampled(lambda member, now: seen.append(call_id.get()))
    named = call_id.set("00")
    sampled.join(1)
    call_id.reset(named)
    await asyncio.sleep(2.0)
    assert set(seen) == {call_id.get()}
