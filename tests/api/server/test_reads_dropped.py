"""The memory of bodies that were refused."""

import asyncio
import gc
import weakref

import pytest

from bridge.api.server import reads as request_bodies
from bridge.api.server.reads import CHECK_SECONDS, WORTH_BYTES, Reads, give_back, trim
from bridge.errors import RequestTimeout, Unauthorized
from tests.support.inprocess import running
from tests.support.waiting import until


async def drop(reads, size):
    with pytest.raises(Unauthorized):
        async with reads.turn(size):
            raise Unauthorized("not theirs")


@pytest.fixture
async def trimmed(monkeypatch):
    """What is given back for some reads, as it happens."""
    found = []
    reads = Reads(2 * WORTH_BYTES, seconds=60.0)
    monkeypatch.setattr(request_bodies, "trim", lambda: found.append(reads.dropped))
    task = asyncio.create_task(give_back(reads))
    await asyncio.sleep(0)
    yield reads, found
    task.cancel()


async def test_bodies_that_are_refused_or_do_not_come_count_as_dropped():
    reads = Reads(100, seconds=0.0)
    await drop(reads, 10)
    with pytest.raises(RequestTimeout):
        async with reads.turn(20):
            await asyncio.sleep(60)
    assert reads.dropped == 30


async def test_bodies_that_are_taken_do_not(trimmed):
    reads, _ = trimmed
    async with reads.turn(WORTH_BYTES):
        pass
    assert reads.dropped == 0


@pytest.mark.virtual_time
async def test_memory_is_given_back_once_for_all_that_was_dropped(trimmed):
    reads, found = trimmed
    await drop(reads, WORTH_BYTES - 1)
    await asyncio.sleep(2 * CHECK_SECONDS)
    assert found == []
    await drop(reads, 1)
    await asyncio.sleep(3 * CHECK_SECONDS)
    assert found == [WORTH_BYTES]


def test_the_heap_can_be_trimmed_here():
    trim()


async def test_a_refusal_is_kept_by_nothing_once_it_is_answered(monkeypatch):
    """With it its traceback would be kept, and whatever had been read."""
    refusals = []
    made = Unauthorized.__init__

    def note(self, *told, **more):
        made(self, *told, **more)
        refusals.append(weakref.ref(self))

    async with running() as client:
        monkeypatch.setattr(Unauthorized, "__init__", note)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                assert (await client.post("/call/dial", {}, headers={})).status == 401
            await until(lambda: not any(one() for one in refusals[:-1]))
        finally:
            gc.enable()
    assert refusals
