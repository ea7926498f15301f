"""A machine of three dies: its callers are heard again at the others, and each call has one end."""

import asyncio
import statistics

import pytest

from bridge.cluster.timing import DEFAULT
from tests.machines import tally
from tests.machines.returning import Returning
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.call, pytest.mark.real_time, pytest.mark.nginx]

CALLS = 20
DECLARED_TO_HEARD_SECONDS = 3.0
DEATH_TO_HEARD_SECONDS = 17.0
BUSY = 2.0
"""By how much a machine may be slower that runs other tests too."""


async def declared(at, among):
    """Wait until a node is declared dead; return when, by the loop's clock."""
    while not any("node.taken_over" in machine.log for machine in among):
        await asyncio.sleep(0.05)
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("death", ["killed", pytest.param("paused", marks=pytest.mark.long)])
async def test_callers_of_a_machine_that_dies_are_heard_again_at_the_others(scene, death):
    async with scene() as at:
        victim, *others = at.cluster.machines
        mine = await at.begin(CALLS, on=victim)
        assert len(at.of(victim)) == CALLS
        elsewhere = await at.begin(2, on=others[0])
        # The others judge nobody before they have had leases of their own for so long.
        await asyncio.sleep(DEFAULT.lease + 1)
        returning = Returning(at.callers)
        victim.kill() if death == "killed" else victim.pause()
        died = asyncio.get_running_loop().time()
        async with asyncio.timeout(60):
            told, _ = await asyncio.gather(declared(at, others), returning.follow(mine))
        after_death = sorted(back - died for back in returning.back.values())
        after_declared = sorted(back - told for back in returning.back.values())
        print(
            f"declared after {told - died:.1f} s; heard after the death p50 {statistics.median(after_death):.1f}, "
            f"max {after_death[-1]:.1f} s; after the declared death max {after_declared[-1]:.2f} s"
        )
        if death == "killed":  # the load balancer still leads some requests to one that is paused
            assert after_declared[-1] < DECLARED_TO_HEARD_SECONDS * BUSY, returning.refusals
        assert after_death[-1] < DEATH_TO_HEARD_SECONDS * BUSY, returning.refusals
        at.check_gaps(lost=mine)
        at.callers.forget_gaps()
        await asyncio.sleep(3.0)
        at.check_gaps()
        if death == "paused":
            victim.resume()
            await until(lambda: not victim.running, timeout=40)
            at.check_gaps()
        assert not set(at.ends()) & {one.call_id for one in mine + elsewhere}
        await at.finish()
        recovered = [one for one in at.cluster.delivered() if one.type == "call.recovered"]
        assert {one.call for one in recovered} == {one.call_id for one in mine}
        assert {one.data["cause"] for one in recovered} == {"machine"}
        assert len(tally.ends(at.cluster.delivered())) == CALLS + 2
