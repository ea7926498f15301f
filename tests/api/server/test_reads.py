"""Bodies that are being read; tests/security/test_webhook_bodies.py sends slow ones to a bridge."""

import asyncio

import pytest

from bridge.api.server.reads import Reads
from bridge.errors import LimitExceeded, RequestTimeout


async def test_a_body_that_takes_too_long_is_refused():
    with pytest.raises(RequestTimeout):
        async with Reads(1, seconds=0.0).turn():
            await asyncio.Event().wait()


async def waiting(reads, size):
    async with reads.turn(size):
        await asyncio.Event().wait()


@pytest.mark.parametrize(("sizes", "ended"), [([1, 1], 0), ([1, 2], 1), ([2, 2], 0)])
async def test_at_the_limit_the_oldest_of_the_largest_is_dropped(sizes, ended):
    reads = Reads(sum(sizes), seconds=60.0, drop_largest=True)
    tasks = [asyncio.create_task(waiting(reads, size)) for size in sizes]
    await asyncio.sleep(0)
    async with reads.turn():
        with pytest.raises(RequestTimeout):
            await tasks[ended]
        assert not tasks[1 - ended].done()
    tasks[1 - ended].cancel()


async def test_where_nobody_gives_way_the_new_one_is_refused():
    reads = Reads(1, seconds=60.0)
    async with reads.turn():
        with pytest.raises(LimitExceeded):
            async with reads.turn():
                pass
    async with reads.turn():
        pass
