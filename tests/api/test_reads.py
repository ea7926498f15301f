"""Bodies that are being read; tests/security/test_webhook_bodies.py sends slow ones to a bridge."""

import asyncio

import pytest

from bridge.api.reads import Reads, RequestTimeout
from bridge.errors import LimitExceeded


async def test_a_body_that_takes_too_long_is_refused():
    with pytest.raises(RequestTimeout):
        async with Reads(1, seconds=0.0).turn():
            await asyncio.Event().wait()


async def test_at_the_limit_the_oldest_gives_way():
    reads = Reads(2, seconds=60.0, oldest_gives_way=True)

    async def read():
        async with reads.turn():
            await asyncio.Event().wait()

    old, young = asyncio.create_task(read()), asyncio.create_task(read())
    await asyncio.sleep(0)
    async with reads.turn():
        with pytest.raises(RequestTimeout):
            await old
        assert not young.done()
    young.cancel()


async def test_where_nobody_gives_way_the_new_one_is_refused():
    reads = Reads(1, seconds=60.0)
    async with reads.turn():
        with pytest.raises(LimitExceeded):
            async with reads.turn():
                pass
    async with reads.turn():
        pass
