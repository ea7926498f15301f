"""Calls of many callers through a fault, and what must be true of them afterwards."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from tests.machines import tally
from tests.machines.callers import Caller, Callers
from tests.machines.cluster import Cluster, Machine
from tests.support.peers.signalling import SignallingError

GAP_SECONDS = 5.0
"""A call whose caller hears nothing for longer counts as cut; a busy machine has been silent for three."""
SETTLE_SECONDS = 30.0
_AT_ONCE = 5


@dataclass(slots=True)
class Scene:
    """A cluster and its callers."""

    cluster: Cluster
    callers: Callers

    async def begin(self, count: int, *, on: Machine | None = None) -> list[Caller]:
        """Make calls, spread over the machines or all asked of one."""
        urls = [machine.url for machine in ([on] if on else self.cluster.machines)]
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> Caller:
            async with room:
                return await self.callers.begin(url=urls[number % len(urls)])

        return list(await asyncio.gather(*(one(number) for number in range(count))))

    def of(self, machine: Machine) -> list[Caller]:
        """Return the callers whose calls are on a machine."""
        return [one for one in self.callers.live if machine.owns(one.call_id)]

    def ends(self) -> dict[str, str]:
        """Return why calls ended, by id, as the receiver was told."""
        return tally.ends(self.cluster.delivered())

    async def until_ended(self, calls: Sequence[Caller], seconds: float) -> float:
        """Wait until the receiver knows that these calls have ended; returns the seconds it took.

        Raises:
            AssertionError: some have not; they are named.
        """
        began = asyncio.get_running_loop().time()
        left = {one.call_id for one in calls}
        while left := left - set(self.ends()):
            took = asyncio.get_running_loop().time() - began
            assert took < seconds, f"no end of {sorted(left)} within {seconds} s"
            await asyncio.sleep(0.1)
        return asyncio.get_running_loop().time() - began

    def check_gaps(self, seconds: float = GAP_SECONDS, *, lost: Sequence[Caller] = ()) -> None:
        """Check that everybody but the lost ones has heard its call's sound without a gap."""
        known = [one for one in self.callers.live + self.callers.ended if one not in lost]
        worst = {one.call_id: one.gap for one in known if one.gap > seconds}
        assert not worst, f"{len(worst)} of {len(known)} callers heard nothing for {worst}"
        cut = [
            one.call_id
            for one in known
            if one.cut or (one in self.callers.live and one.peer.closed)
        ]
        assert not cut, f"cut: {cut}"

    async def hang_up_strays(self) -> None:
        """End calls that no caller has: the request that made them failed, or their offer did."""
        listed = await asyncio.to_thread(self.cluster.machines[0].get, "/call/status")
        known = {one.call_id for one in self.callers.live + self.callers.ended}
        for stray in {call["callId"] for call in listed["calls"]} - known:
            await self.callers.request("POST", "/call/hangup", {"callId": stray})

    async def finish(self, *, lost: Sequence[Caller] = (), seconds: float = SETTLE_SECONDS) -> None:
        """Hang up whatever is left and check every event against what the callers did."""
        for caller in lost:
            self.callers.stop(caller)
        remaining = list(self.callers.live)
        await asyncio.gather(*(self.callers.hang_up(caller) for caller in remaining))
        assert not self.callers.failures, "\n".join(self.callers.failures)
        everybody = self.callers.ended
        await self.until_ended(everybody, seconds)
        await asyncio.sleep(1.5)  # what is doubled comes later
        expected = {one.call_id: "hangup" for one in everybody}
        expected |= {one.call_id: "node_lost" for one in lost}
        found = tally.faults(self.cluster.delivered(), expected)
        assert not found, "\n".join(found)
        for machine in self.cluster.machines:
            if machine.running:
                left = await asyncio.to_thread(machine.get, "/call/status")
                assert left["calls"] == [], f"stuck on {machine.host}"


async def talk_in_turns(callers: Callers, talk: Callable[[], float], over: asyncio.Event) -> None:
    """Call, hang up after a while and call again, until `over`; what fails is noted by the callers."""
    while not over.is_set():
        with suppress(aiohttp.ClientError, ConnectionError, TimeoutError, SignallingError):
            caller = await callers.begin()
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), talk())
            await callers.hang_up(caller)
