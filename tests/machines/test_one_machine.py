"""One machine with SQLite: what becomes of a killed node's calls, and what a drain leaves."""

import asyncio
import os
import signal

import pytest

from tests.support.peers.light_peer import patient_peers
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.call, pytest.mark.real_time]


@pytest.mark.full
async def test_the_calls_of_a_killed_node_go_on_and_no_other_call_is_disturbed(scene):
    with patient_peers():
        async with scene(machines=1, postgresql=False, settings={"NODES": "3"}) as at:
            (machine,) = at.cluster.machines
            await at.begin(12)
            await asyncio.sleep(3)  # each call has been copied
            victim = at.callers.live[0].call_id[:2]
            kept = [one for one in at.callers.live if one.call_id[:2] == victim]
            os.kill(machine.pid_of(int(victim, 16)), signal.SIGKILL)
            await asyncio.sleep(3)  # a spare process goes on with them
            await until(lambda: all(one.silence < 2 for one in kept), timeout=60)
            at.check_gaps(lost=kept)
            await at.finish()


@pytest.mark.full
async def test_without_recovery_a_killed_node_takes_its_own_calls_with_it_and_no_others(scene):
    settings = {"NODES": "3", "RECOVERY__ENABLED": "false"}
    async with scene(machines=1, postgresql=False, settings=settings) as at:
        (machine,) = at.cluster.machines
        await at.begin(12)
        victim = at.callers.live[0].call_id[:2]
        lost = [one for one in at.callers.live if one.call_id[:2] == victim]
        for caller in lost:
            at.callers.stop(caller)
        os.kill(machine.pid_of(int(victim, 16)), signal.SIGKILL)
        await at.until_ended(lost, 20.0)
        at.check_gaps()
        await at.finish(lost=lost)


@pytest.mark.full
@pytest.mark.parametrize("nodes", [1, 3])
async def test_a_drained_bridge_ends_after_its_last_call_and_owes_no_event(scene, nodes):
    settings = {"LIMITS__DRAIN_SECONDS": "60", "NODES": str(nodes)}
    async with scene(machines=1, postgresql=False, settings=settings) as at:
        (machine,) = at.cluster.machines
        await at.begin(12)
        stopped = asyncio.create_task(asyncio.to_thread(machine.stop, seconds=70.0))
        await asyncio.sleep(2.0)
        for caller in at.callers.live[:]:
            await at.callers.hang_up(caller)
            await asyncio.sleep(0.1)
        assert await stopped == 0
        await asyncio.to_thread(machine.start)
        await asyncio.to_thread(machine.wait_ready)
        at.check_gaps()
        await at.finish()
