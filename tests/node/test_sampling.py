"""When each call is sampled, in virtual time."""

import asyncio
import itertools
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.node.sampling import LEGS_AT_ONCE, SLOTS, Sampling
from tests.support.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time


def runner_of(legs: int = 2) -> Any:
    return FakeCall(legs)


@dataclass(eq=False)
class FakeCall:
    """A call that can be sampled."""

    leg_count: int
    facts: Any = field(default_factory=lambda: SimpleNamespace(call_id="00"))


class Sampled:
    """What was sampled when, and in which steps."""

    def __init__(self):
        self.at: dict[Any, list[float]] = {}
        self.steps: list[int] = []
        self._step = 0
        self.failing: set[Any] = set()
        self.sampling = Sampling(self._sample, self._took)

    def _sample(self, runner, now):
        self._step += runner.leg_count
        self.at.setdefault(runner, []).append(now)
        if runner in self.failing:
            raise RuntimeError("a bug")

    def _took(self, seconds):
        self.steps.append(self._step)
        self._step = 0


async def test_each_call_is_sampled_once_a_second():
    sampled = Sampled()
    runners = [runner_of() for _ in range(3 * SLOTS)]
    for runner in runners:
        sampled.sampling.join(runner)
    await asyncio.sleep(4.99)
    assert {len(times) for times in sampled.at.values()} == {5}
    apart = [b - a for times in sampled.at.values() for a, b in itertools.pairwise(times)]
    assert apart == pytest.approx([1.0] * len(apart), abs=0.01)


async def test_calls_are_spread_evenly_over_the_second():
    sampled = Sampled()
    for _ in range(2 * SLOTS):
        sampled.sampling.join(runner_of())
    await asyncio.sleep(1.001)
    times = sorted(round(times[0], 3) for times in sampled.at.values())
    assert [len(list(same)) for _, same in itertools.groupby(times)] == [2] * SLOTS


async def test_a_step_samples_no_more_than_a_few_legs():
    sampled = Sampled()
    for _ in range(200):
        sampled.sampling.join(runner_of())
    await asyncio.sleep(3.0)
    assert sum(sampled.steps) >= 200 * 2 * 2
    assert max(sampled.steps) <= LEGS_AT_ONCE


async def test_a_call_that_left_is_not_sampled_and_nothing_is_left_of_it():
    sampled, one, other = Sampled(), runner_of(), runner_of()
    sampled.sampling.join(one)
    sampled.sampling.leave(one)
    sampled.sampling.leave(other)
    await asyncio.sleep(2.0)
    assert sampled.at == {}


async def test_a_call_may_leave_while_it_or_another_of_its_moment_is_sampled():
    sampled = Sampled()
    runners = [runner_of(legs=LEGS_AT_ONCE) for _ in range(2 * SLOTS)]
    first, last = runners[0], runners[SLOTS]

    def leave(runner, now):
        sampled.at.setdefault(runner, []).append(now)
        if runner is first:
            sampling.leave(first)
            sampling.leave(last)

    sampling = Sampling(leave)
    for runner in runners:
        sampling.join(runner)
    await asyncio.sleep(3.001)
    assert len(sampled.at[first]) == 1
    assert last not in sampled.at
    assert len(sampled.at[runners[1]]) == 3


async def test_a_loop_that_stood_still_samples_a_call_once_afterwards():
    sampled, runner = Sampled(), runner_of()
    sampled.sampling.join(runner)
    await asyncio.sleep(1.5)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.block(3.0)
    before = len(sampled.at[runner])
    await asyncio.sleep(0.001)
    assert len(sampled.at[runner]) == before + 1


async def test_a_call_that_cannot_be_sampled_is_logged_and_the_others_go_on(caplog):
    sampled = Sampled()
    bad, good = runner_of(), runner_of()
    sampled.failing = {bad}
    for runner in (bad, good):
        sampled.sampling.join(runner)
    await asyncio.sleep(0.5)
    assert caplog.messages == ["sample.failed"]
    assert len(sampled.at[good]) == 1
