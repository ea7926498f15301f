"""Hours pass in no time, in order."""

import asyncio
import socket
import time

import pytest

from tests.support.virtual_time import virtual_time


def test_an_hour_takes_no_time():
    @virtual_time
    async def an_hour() -> None:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        assert asyncio.get_running_loop().time() == pytest.approx(began + 3600)

    before = time.monotonic()
    an_hour()
    assert time.monotonic() - before < 5


@virtual_time
async def test_timers_fire_in_their_order():
    fired = []

    async def fire(after: float) -> None:
        await asyncio.sleep(after)
        fired.append(after)

    await asyncio.gather(*(fire(after) for after in (30.0, 0.001, 600.0, 2.0)))
    assert fired == [0.001, 2.0, 30.0, 600.0]


@virtual_time
async def test_a_timeout_ends_what_never_comes():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(86_400):
            await asyncio.Event().wait()


@virtual_time
async def test_what_is_ready_goes_first():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"here")
        async with asyncio.timeout(1.0):
            assert await asyncio.get_running_loop().sock_recv(ours, 4) == b"here"
