"""Work done in steps of the event loop, in virtual time."""

import asyncio

import pytest

from bridge.slices import in_steps

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize(("at_once", "steps"), [(1, 7), (3, 3), (7, 1), (8, 1)])
async def test_the_loop_goes_on_between_the_steps(at_once, steps):
    took: list[float] = []
    seen: list[int] = []
    others: list[int] = []

    async def other() -> None:
        while len(seen) < 7:
            others.append(len(seen))
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    async for number in in_steps(range(7), took.append, at_once=at_once):
        assert number == len(seen)
        seen.append(number)
    await beside
    assert seen == list(range(7))
    assert len(took) == steps
    assert set(others) == {0, *range(at_once, 7, at_once)}


async def test_nothing_takes_no_step():
    took: list[float] = []
    assert [one async for one in in_steps("", took.append)] == []
    assert took == []
