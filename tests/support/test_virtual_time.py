"""Hours pass in no time, in order."""

import asyncio
import socket
import threading
import time

import pytest

from tests.support.virtual_time import VirtualTimeLoop


@pytest.mark.virtual_time
async def test_an_hour_takes_no_time():
    began, before = asyncio.get_running_loop().time(), time.monotonic()
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == pytest.approx(began + 3600)
    assert time.monotonic() - before < 5


@pytest.mark.virtual_time
async def test_timers_fire_in_their_order():
    fired = []

    async def fire(after: float) -> None:
        await asyncio.sleep(after)
        fired.append(after)

    await asyncio.gather(*(fire(after) for after in (30.0, 0.001, 600.0, 2.0)))
    assert fired == [0.001, 2.0, 30.0, 600.0]


@pytest.mark.virtual_time
async def test_a_timeout_ends_what_never_comes():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(86_400):
            await asyncio.Event().wait()


@pytest.mark.virtual_time
async def test_what_is_ready_goes_first():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"here")
        async with asyncio.timeout(1.0):
            assert await asyncio.get_running_loop().sock_recv(ours, 4) == b"here"


@pytest.mark.virtual_time
async def test_time_stands_still_while_an_executor_works():
    async with asyncio.timeout(0.01):
        await asyncio.to_thread(time.sleep, 0.05)


@pytest.mark.virtual_time
async def test_time_stands_still_while_a_thread_says_that_it_works():
    loop, done = asyncio.get_running_loop(), threading.Event()
    assert isinstance(loop, VirtualTimeLoop)
    loop.stand_still_while(lambda: not done.is_set())
    timer = threading.Timer(0.05, done.set)
    timer.start()
    await asyncio.sleep(10)
    assert done.is_set()
    timer.join()
