"""A deadline that moves."""

import asyncio

import pytest

from bridge.node.deadline import Deadline

pytestmark = pytest.mark.virtual_time


async def test_only_the_last_deadline_is_kept():
    loop, passed = asyncio.get_running_loop(), []
    begun = loop.time()
    deadline = Deadline(lambda: passed.append(loop.time() - begun))
    deadline.set(begun + 1)
    deadline.set(begun + 5)
    await asyncio.sleep(10)
    assert passed == [pytest.approx(5, abs=0.1)]


async def test_a_cleared_deadline_never_passes():
    passed = []
    deadline = Deadline(lambda: passed.append(1))
    deadline.set(asyncio.get_running_loop().time() + 1)
    deadline.set(None)
    await asyncio.sleep(5)
    assert passed == []
