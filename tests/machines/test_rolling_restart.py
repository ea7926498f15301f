"""A deploy on three machines, one after the other, while people talk."""

import asyncio
import random

import pytest

from tests.machines.scene import talk_in_turns
from tests.support.waiting import until

CALLS = 30
DRAIN_SECONDS = 120


@pytest.mark.cluster
@pytest.mark.nginx
@pytest.mark.call
@pytest.mark.real_time
@pytest.mark.full
async def test_a_rolling_restart_cuts_no_call_and_fails_no_request(scene):
    async with scene(settings={"LIMITS__DRAIN_SECONDS": str(DRAIN_SECONDS)}) as at:
        source, over = random.Random(1), asyncio.Event()
        turns = [
            asyncio.create_task(talk_in_turns(at.callers, lambda: source.uniform(5, 20), over))
            for _ in range(CALLS)
        ]
        await until(lambda: len(at.callers.live) >= CALLS, timeout=60)
        for machine in at.cluster.machines:
            assert await asyncio.to_thread(machine.stop, seconds=DRAIN_SECONDS) == 0
            await asyncio.to_thread(machine.start)
            await asyncio.to_thread(machine.wait_ready)
        over.set()
        await asyncio.gather(*turns)
        at.check_gaps()
        await at.finish()
