"""What a leg costs on three machines and on one, and a request that comes in at the wrong machine.

Started by the bench with a plan (JSON) on standard input; writes what was measured (JSON) to standard
output. Both clusters are alive at once, each with a PostgreSQL of its own, and take turns of a few
seconds in random order, so that they see the same computer.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field

import uvloop

from tests.bench import measure
from tests.bench.measure import percentile
from tests.bench.reports.verdict import Verdict, at_most, judged
from tests.machines import available
from tests.machines.callers import Callers, calling
from tests.machines.cluster import Cluster, running_cluster

LEGS, ROUNDS, REQUESTS = 20, 15, 300
"""Legs are on each machine: what an additional one costs, as it is added where one is full."""
SECONDS = 2.0
"""Of a slice."""
COST, CROSSING = 1.10, 0.002
_EXTRA = "request to the wrong machine, p95 above the right one's"
HEADS = ("machines", "CPU/leg %", "lower quartile", "upper quartile")
_SETTLE_SECONDS = 0.3
_PAUSE = 0.002
_ROOM = {"LIMITS__CALLS": "500"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What was measured."""

    legs: int
    """On each machine."""
    one: list[float] = field(default_factory=list)
    """CPU per leg in each round, percent of a core, of the bridge's processes without the database's."""
    three: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    """Seconds of requests to the machine that has the call."""
    wrong: list[float] = field(default_factory=list)
    """Of requests to another one."""

    @property
    def requests(self) -> Mapping[str, list[float]]:
        """The seconds of both kinds of requests."""
        return {"right": self.right, "wrong": self.wrong}


def missing() -> str:
    """Say why this cannot be measured here; empty when it can."""
    return available.lack()


def verdicts(found: Machines | None, *, busy: bool = False) -> list[Verdict]:
    """Hold it against the targets; of a `busy` machine the ratio alone."""
    if found is None:
        return []
    ratio = statistics.median(
        three / one for one, three in zip(found.one, found.three, strict=True)
    )
    extra = percentile(found.wrong, 95) - percentile(found.right, 95)
    cost = f"{found.legs} legs on each: CPU per leg, three machines / one"
    return [
        Verdict(cost, f"<= {COST:.2f}", f"{ratio:.2f}", ratio <= COST),
        *judged([at_most(_EXTRA, CROSSING, extra)], busy=busy, difference=True),
    ]


def costs(found: Machines) -> list[tuple[str, ...]]:
    """Make the lines of the table of what a leg costs."""
    return [
        (name, *(f"{percentile(values, share):.3f}" for share in (50, 25, 75)))
        for name, values in (("one", found.one), ("three", found.three))
    ]


async def run(*, legs: int, rounds: int, seconds: float, requests: int) -> Machines:
    """Measure, with so many legs on each machine."""
    order = random.Random(1)
    found = Machines(legs=legs)
    with (
        running_cluster(machines=1, settings=_ROOM) as one,
        running_cluster(settings=_ROOM) as three,
    ):
        async with _callers(one) as at_one, _callers(three) as at_three:
            await _begin(three, at_three, 1)
            await _cross(three, at_three, found, requests)
            await at_three.hang_up(at_three.live[0])
            pairs = [(one, at_one, found.one), (three, at_three, found.three)]
            for cluster, callers, _ in pairs:
                await _begin(cluster, callers, legs * len(cluster.machines))
            for number in range(rounds):
                order.shuffle(pairs)
                for cluster, callers, into in pairs:
                    into.append(await _slice(cluster, callers, seconds))
                print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found


def _callers(cluster: Cluster) -> AbstractAsyncContextManager[Callers]:
    return calling(cluster.front.url, cluster.network.outside.address)


async def _begin(cluster: Cluster, callers: Callers, legs: int) -> None:
    """Make calls, evenly over the machines, and let them be silent."""
    for number in range(legs):
        machine = cluster.machines[number % len(cluster.machines)]
        caller = await callers.begin(url=machine.url)
        caller.talker.stop()


async def _slice(cluster: Cluster, callers: Callers, seconds: float) -> float:
    """Let one cluster's legs talk for a while; returns the CPU per leg, percent of a core."""
    for caller in callers.live:
        caller.talker.resume()
    await asyncio.sleep(_SETTLE_SECONDS)
    pids = _processes(cluster)
    begin, used = time.monotonic(), measure.cpu_seconds(pids)
    await asyncio.sleep(seconds)
    end, used = time.monotonic(), measure.cpu_seconds(pids) - used
    for caller in callers.live:
        caller.talker.stop()
    await asyncio.sleep(_SETTLE_SECONDS)
    return 100 * used / (end - begin) / len(callers.live)


def _processes(cluster: Cluster) -> Sequence[int]:
    running = [machine.process for machine in cluster.machines]
    return [pid for one in running if one is not None for pid in measure.family(one.pid)]


async def _cross(cluster: Cluster, callers: Callers, found: Machines, requests: int) -> None:
    """Ask for a call's quality at its own machine and at another one in turn."""
    own, other, *_ = cluster.machines
    call_id = next(one.call_id for one in callers.live if own.owns(one.call_id))
    for number in range(2 * requests):
        machine, into = (own, found.right) if number % 2 == 0 else (other, found.wrong)
        begun = time.monotonic()
        await callers.request("GET", f"/call/{call_id}/quality", url=machine.url)
        into.append(time.monotonic() - begun)
        await asyncio.sleep(_PAUSE)


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    json.dump(asdict(uvloop.run(run(**plan))), sys.stdout)


if __name__ == "__main__":
    main()
