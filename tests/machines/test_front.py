"""What clients of the load balancer notice when machines are restarted one after the other."""

import asyncio
from collections import Counter

import pytest

from tests.machines.callers import KEY, Callers

pytestmark = [pytest.mark.cluster, pytest.mark.nginx, pytest.mark.real_time]

CLIENTS = 15
FORGIVEN_SECONDS = 2.5
"""After its last try nginx asks a server again: `fail_timeout` of 1 s, which it counts in whole seconds."""
UNKNOWN = {"callId": "00" * 16}


async def post(callers: Callers, counts: Counter[int], over: asyncio.Event) -> None:
    """Post again and again, without repeating what fails."""
    while not over.is_set():
        request = callers.session.post(
            f"{callers.url}/call/hangup", json=UNKNOWN, headers={"token": KEY}
        )
        async with request as response:
            counts[response.status] += 1
        await asyncio.sleep(0.01)


@pytest.mark.full
async def test_no_request_fails_while_machines_restart(scene):
    settings = {"LIMITS__DRAIN_SECONDS": "60"}
    async with scene(machines=2, postgresql=False, settings=settings) as at:
        counts, over = Counter[int](), asyncio.Event()
        clients = [asyncio.create_task(post(at.callers, counts, over)) for _ in range(CLIENTS)]
        for machine in at.cluster.machines:
            assert await asyncio.to_thread(machine.stop, seconds=70.0) == 0
            await asyncio.to_thread(machine.start)
            await asyncio.to_thread(machine.wait_ready)
            await asyncio.sleep(FORGIVEN_SECONDS)
        over.set()
        await asyncio.gather(*clients)
        assert set(counts) == {404}
        assert counts[404] > 1000
