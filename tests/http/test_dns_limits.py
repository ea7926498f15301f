"""What one line may look up, and what another is not kept from."""

import asyncio

import pytest
from typing_extensions import override

from bridge.http.dns_limits import (
    FAILED_SECONDS,
    MAX_AT_ONCE,
    MAX_FAILED,
    MAX_WAITING,
    OPERATOR,
    CountedLookups,
    LineLookups,
)
from bridge.http.resolver import LookupFailed
from tests.support.names import Names


class Held(Names):
    """Names that are answered when the test says so."""

    def __init__(self) -> None:
        super().__init__({"good.test": ["93.184.215.14"]})
        self.answer = asyncio.Event()
        self.asked: list[str] = []

    @override
    async def resolve(self, host):
        self.asked.append(host)
        if host.startswith("dead"):
            await self.answer.wait()
        return await super().resolve(host)


class Counts:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def __call__(self, asker, outcome):
        self.told.append((asker, outcome))


@pytest.fixture
def world():
    return Held(), Counts()


def start(look_ups, count):
    return [asyncio.create_task(look_ups.resolve(f"dead{n}.test")) for n in range(count)]


async def over(tasks):
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_line_looks_up_so_many_names_at_a_time_and_another_is_not_held_up(world):
    names, counts = world
    one, other = LineLookups(names, counts), LineLookups(names, counts)
    tasks = start(one, MAX_AT_ONCE + 5)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(names.asked) == MAX_AT_ONCE
    assert await other.resolve("good.test")
    assert await CountedLookups(names, counts, OPERATOR).resolve("good.test")
    await over(tasks)


async def test_a_look_up_that_is_cancelled_makes_room(world):
    names, counts = world
    look_ups = LineLookups(names, counts)
    tasks = start(look_ups, MAX_AT_ONCE)
    await asyncio.sleep(0)
    await over(tasks)
    assert await look_ups.resolve("good.test")


async def test_more_than_may_wait_fail_at_once_and_are_counted(world):
    names, counts = world
    look_ups = LineLookups(names, counts)
    tasks = start(look_ups, MAX_AT_ONCE + MAX_WAITING)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(LookupFailed, match="too many"):
        await look_ups.resolve("good.test")
    assert ("customer", "refused") in counts.told
    await over(tasks)


@pytest.mark.virtual_time
async def test_a_name_that_failed_is_not_asked_for_again_for_a_while(world):
    names, counts = world
    look_ups = LineLookups(names, counts)
    for pause in (0.0, 1.0, FAILED_SECONDS - 2.0, 1.0):
        await asyncio.sleep(pause)
        with pytest.raises(LookupFailed):
            await look_ups.resolve("nowhere.test")
    assert names.asked == ["nowhere.test"] * 2
    expected = ["nothing", "remembered", "remembered", "nothing"]
    assert counts.told == [("customer", outcome) for outcome in expected]


async def test_only_so_many_names_are_remembered(world):
    names, counts = world
    look_ups = LineLookups(names, counts)
    for n in range(MAX_FAILED + 1):
        with pytest.raises(LookupFailed):
            await look_ups.resolve(f"nowhere{n}.test")
    names.asked.clear()
    for n in (0, MAX_FAILED):
        with pytest.raises(LookupFailed):
            await look_ups.resolve(f"nowhere{n}.test")
    assert names.asked == ["nowhere0.test"]


async def test_the_operators_names_are_asked_for_each_time(world):
    names, counts = world
    look_ups = CountedLookups(names, counts, OPERATOR)
    for _ in range(2):
        with pytest.raises(LookupFailed):
            await look_ups.resolve("nowhere.test")
    assert names.asked == ["nowhere.test"] * 2
    assert counts.told == [("operator", "nothing")] * 2
