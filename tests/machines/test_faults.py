"""Three machines with PostgreSQL, twenty calls, and one fault: who is cut, and what everybody is told."""

import asyncio
import contextlib
import time

import aiohttp
import pytest

from bridge.cluster.timing import DEFAULT
from tests.machines import small_disk, wrong_clock
from tests.machines.cluster import NODE_LOST_SECONDS
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.call, pytest.mark.real_time, pytest.mark.nginx]

CALLS = 20
LEASE_SECONDS = DEFAULT.lease
DELIVERY_SECONDS = 2.5
"""The receiver refuses some webhooks, which come again after a second."""
NOBODY_RETURNS = {"LIMITS__ABANDONED_SECONDS": "0"}
"""Calls of a dead machine are not waited for: these callers offer once only."""
ANY_SPACE = {"RECORDING__MIN_FREE_MB": "0"}
long = pytest.mark.full


async def lose(at, machine, *, seconds=NODE_LOST_SECONDS):
    """Wait until the calls of a machine are known to have ended; nobody else's may be cut."""
    lost = at.of(machine)
    for caller in lost:
        at.callers.stop(caller)
    await at.until_ended(lost, seconds + DELIVERY_SECONDS)
    at.check_gaps(lost=lost)
    return lost


@pytest.mark.parametrize("calls", [6, pytest.param(CALLS, marks=long)])
async def test_a_killed_machine_takes_its_own_calls_with_it_and_no_others(scene, calls):
    async with scene(settings=NOBODY_RETURNS) as at:
        await at.begin(calls)
        victim = at.cluster.machines[1]
        victim.kill()
        # The others judge nobody before they have had leases of their own for so long.
        lost = await lose(at, victim, seconds=LEASE_SECONDS + NODE_LOST_SECONDS)
        assert lost
        await at.finish(lost=lost)


@long
async def test_a_killed_machine_comes_back_and_takes_calls(scene):
    async with scene(settings=NOBODY_RETURNS) as at:
        await at.begin(CALLS)
        await asyncio.sleep(LEASE_SECONDS)
        victim = at.cluster.machines[0]
        victim.kill()
        lost = await lose(at, victim)
        await asyncio.to_thread(victim.start)
        await asyncio.to_thread(victim.wait_ready)
        await at.begin(6, on=victim)
        await at.finish(lost=lost)


@long
async def test_a_killed_database_that_comes_back_costs_no_call_and_no_event(scene):
    async with scene() as at:
        await at.begin(CALLS)
        at.cluster.database.kill()
        await asyncio.sleep(3.0)
        at.check_gaps()
        await asyncio.to_thread(at.cluster.database.start)
        await asyncio.to_thread(at.cluster.database.wait_ready)
        await at.begin(3)
        at.check_gaps()
        await at.finish()


@long
async def test_a_minute_without_the_database_costs_no_call_and_no_event(scene):
    async with scene() as at:
        await at.begin(CALLS)
        at.cluster.database.kill()
        await asyncio.sleep(10.0)
        began = time.monotonic()
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            await at.callers.begin()
        assert refused.value.status == 503
        assert "Retry-After" in (refused.value.headers or {})
        assert time.monotonic() - began < 6.0
        at.callers.failures.clear()
        # Some hang up meanwhile: their ends wait on the machines' disks.
        for caller in at.callers.live[:5]:
            await at.callers.hang_up(caller)
        await asyncio.sleep(50.0)
        at.check_gaps()
        await asyncio.to_thread(at.cluster.database.start)
        await asyncio.to_thread(at.cluster.database.wait_ready)
        # Longer than a lease: whoever would be declared dead in error is by then.
        await asyncio.sleep(2 * LEASE_SECONDS)
        at.check_gaps()
        assert set(at.ends().values()) == {"hangup"}
        await at.begin(3)
        await at.finish()


@long
async def test_a_machine_that_is_paused_for_long_is_lost_once_and_says_nothing_when_it_wakes(scene):
    async with scene(settings=NOBODY_RETURNS) as at:
        await at.begin(CALLS)
        await asyncio.sleep(LEASE_SECONDS)
        victim = at.cluster.machines[2]
        victim.pause()
        lost = await lose(at, victim)
        victim.resume()
        await asyncio.sleep(LEASE_SECONDS)
        assert not victim.running, victim.log[-3000:]
        await at.finish(lost=lost)


@long
async def test_a_machine_that_is_paused_for_less_than_its_lease_keeps_its_calls(scene):
    async with scene() as at:
        await at.begin(CALLS)
        victim = at.cluster.machines[2]
        mine = at.of(victim)
        victim.pause()
        await asyncio.sleep(4.0)
        victim.resume()
        await asyncio.sleep(2.0)
        at.callers.forget_gaps()
        await asyncio.sleep(LEASE_SECONDS)
        at.check_gaps()
        assert mine
        await at.finish()


@long
async def test_a_machine_cut_off_from_the_database_keeps_its_calls(scene):
    async with scene() as at:
        await at.begin(CALLS)
        network, victim = at.cluster.network, at.cluster.machines[0]
        network.cut(victim.host, at.cluster.database.host)
        await asyncio.sleep(2 * LEASE_SECONDS)
        for caller in at.of(victim)[:3]:
            await at.callers.hang_up(caller)
        await asyncio.sleep(LEASE_SECONDS)
        at.check_gaps()
        network.mend(victim.host, at.cluster.database.host)
        await asyncio.sleep(2 * LEASE_SECONDS)
        at.check_gaps()
        await at.finish(seconds=60.0)


@long
async def test_a_machine_cut_off_from_database_and_siblings_is_lost_once(scene):
    async with scene(settings=NOBODY_RETURNS) as at:
        await at.begin(CALLS)
        network, victim = at.cluster.network, at.cluster.machines[0]
        others = [machine.host for machine in at.cluster.machines[1:]]
        await asyncio.sleep(LEASE_SECONDS)
        for host in [at.cluster.database.host, *others]:
            network.cut(victim.host, host)
        lost = await lose(at, victim)
        for host in [at.cluster.database.host, *others]:
            network.mend(victim.host, host)
        await until(lambda: not victim.running, timeout=40)
        await at.finish(lost=lost)


@long
async def test_machines_that_cannot_reach_each_other_keep_their_calls(scene):
    async with scene() as at:
        await at.begin(CALLS)
        first, second, _ = at.cluster.machines
        at.cluster.network.cut(first.host, second.host)
        await asyncio.sleep(2 * LEASE_SECONDS)
        at.check_gaps()
        at.cluster.network.mend(first.host, second.host)
        await asyncio.sleep(LEASE_SECONDS)
        at.check_gaps()
        assert at.ends() == {}
        await at.finish()


@long
@pytest.mark.parametrize("seconds", [3600, -3600], ids=["an hour ahead", "an hour behind"])
async def test_a_machine_whose_clock_is_wrong_works_as_the_others_do(scene, tmp_path, seconds):
    if not wrong_clock.available():
        pytest.skip("gcc is not installed (apt-get install gcc libc6-dev)")
    wrong = {"b": wrong_clock.environment(tmp_path, seconds)}
    async with scene(each=wrong) as at:
        await at.begin(CALLS)
        await asyncio.sleep(2 * LEASE_SECONDS)
        at.check_gaps()
        # Through the load balancer, so that machines pass requests on to each other.
        await at.finish()


@long
async def test_a_full_disk_costs_recordings_and_no_call(scene):
    async with scene(small_disks=("a",), settings=ANY_SPACE) as at:
        await at.begin(CALLS)
        victim = at.cluster.machines[0]
        mine = at.of(victim)
        for caller in mine[:3]:
            await at.callers.request("POST", "/call/record/start", {"callId": caller.call_id})
        ballast = small_disk.fill(victim.folder / "data")
        await asyncio.sleep(8.0)
        at.check_gaps()
        await at.callers.hang_up(mine[0])
        ballast.unlink()
        await at.finish()


@long
async def test_a_slow_database_costs_no_call_and_no_event(scene):
    async with scene(slow=True) as at:
        await at.begin(CALLS)
        at.cluster.database_delay.write_text("0.5")
        await asyncio.sleep(2 * LEASE_SECONDS)
        # With several machines it is as good as lost: new calls may be refused, requests may take long.
        with contextlib.suppress(aiohttp.ClientResponseError, TimeoutError):
            await at.begin(1)
        await asyncio.gather(*(at.callers.hang_up(caller) for caller in at.callers.live[:3]))
        at.callers.failures.clear()
        at.cluster.database_delay.write_text("0")
        await asyncio.sleep(LEASE_SECONDS)
        await at.hang_up_strays()
        at.check_gaps()
        assert set(at.ends().values()) <= {"hangup"}
        await at.begin(3)
        await at.finish(seconds=60.0)
