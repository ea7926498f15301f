"""The load generator of a comparison: builds alive at once take turns of a few seconds.

In each round every build carries the same packets for one slice under each condition, in random order, while the
other builds' calls are silent; so all see the same machine within a few seconds, which separate runs do
not. Started by `tests.bench.against` with a plan (JSON) on standard input; writes the slices (JSON)
to standard output.
"""

import asyncio
import gc
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from tests.bench import measure, scrape, servers
from tests.bench.generators import windows
from tests.bench.generators.bulk_legs import BulkLeg
from tests.bench.generators.generator import Load, connect, grow, record
from tests.support.packets.impairment import Impairment

SSRC_SPACING = 0x1000
SETTLE_SECONDS = 0.3
STOPS_SPREAD = 0.3
"""How far the time from one stop to the next is from its average, at most, as a share of it: they meet packets in any phase."""
DRAIN_SECONDS = 0.3
"""After each slice: what is still under way arrives."""
_DECODED_TALKERS = 4
"""Delays are looked for on so many legs; decoding takes the generator longer than the slice else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One of the servers."""

    name: str
    url: str
    pid: int
    kind: str
    """Of its calls (`callers.caller`): `echo`, `pair`, `stock`, `janus`, a trunk's codec …"""
    trunk_port: int = 0
    apart: bool = False
    """Whether, in its turn, only its thread `media` has the core, and all others run on the waiting core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What happens in a slice: everybody talks, unless said otherwise."""

    what: str = ""
    """What it is called; empty: nothing happens."""
    loss: float = 0.0
    """Share of the packets that are lost on their way to the server."""
    stops: float = 0.0
    """Seconds from one stop of the server's event loop to the next, on average; 0: none."""
    scrape: float = 0.0
    """Seconds between scrapes; 0: none."""
    silent: bool = False
    """Whether the legs send nothing."""
    dtx: bool = False
    """Whether the legs send what an encoder with DTX sends in silence; of many legs at once."""
    recorded: bool = False
    """Whether every call is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure."""

    builds: list[Build]
    legs: int
    """At each build."""
    rounds: int
    seconds: float
    """Of each slice."""
    seed: int
    """Of the order within the rounds."""
    settle: float = SETTLE_SECONDS
    """At the begin of each slice: what waking costs is not counted."""
    core: int | None = None
    """Where the build runs whose turn it is; None: all stay where they are."""
    waiting_core: int | None = None
    """Where the others wait, behind everything else there: one that mixes rooms works on in silence."""
    bulk: bool = False
    """Whether legs are driven as many at once, and every packet is followed."""
    conditions: list[Condition] = field(default_factory=lambda: [Condition()])
    """Of which each build has one slice each round, one after the other."""


@dataclass(slots=True, kw_only=True)
class Slice:
    """What one build did in one slice."""

    build: str
    what: str = ""
    """Under which condition."""
    cpu_per_leg: float
    """Percent of a core."""
    delays: list[float] = field(default_factory=list)
    """Seconds."""
    worst_rate: float = 0.0
    """Packets a second on the leg that received fewest."""
    lateness: float = 0.0
    """99th percentile of how late the generator sent, seconds."""
    packet_path: str = ""
    """`compiled` or `python`; empty when the server does not tell."""
    transit: list[float] = field(default_factory=list)
    """Seconds that each packet was in the server, infinite when it never came; of many legs at once, without DTX."""


async def run(plan: Plan) -> list[list[Slice]]:
    """Measure every round; each has the slices of every build, in the order in which they ran."""
    order = random.Random(plan.seed)
    async with AsyncExitStack() as stack:
        loads = []
        for number, build in enumerate(plan.builds, 1):
            load = await stack.enter_async_context(
                connect(
                    target=build.name,
                    url=build.url,
                    kind=build.kind,
                    trunk_port=build.trunk_port,
                    first_ssrc=number * SSRC_SPACING,
                    bulk=plan.bulk,
                )
            )
            await grow(load, plan.legs)
            for talker in load.talkers:
                talker.stop()
            loads.append((build, load))
        rounds = []
        for number in range(plan.rounds):
            order.shuffle(loads)
            rounds.append([one for build, load in loads for one in await _turn(build, load, plan)])
            _report_progress(number, plan)
        _let_all_run(plan)
        for build, load in loads:
            path = await _packet_path(build, load)
            for one in (one for each in rounds for one in each if one.build == build.name):
                one.packet_path = path
        return rounds


async def _turn(build: Build, load: Load, plan: Plan) -> list[Slice]:
    """Let one build have the core for its slices, while the others wait elsewhere."""
    if plan.core is not None and plan.waiting_core is not None:
        for other in plan.builds:
            if other is not build:
                servers.move(other.pid, plan.waiting_core, servers.LAST)
        if build.apart:
            servers.set_apart(build.pid, core=plan.core, beside=plan.waiting_core)
        else:
            servers.move(build.pid, plan.core, servers.PRIORITY)
    return [await _slice(build, load, plan, condition) for condition in plan.conditions]


def _let_all_run(plan: Plan) -> None:
    """Give everyone the core again: who waits behind everything else may take too long to end its calls."""
    if plan.core is not None and plan.waiting_core is not None:
        for build in plan.builds:
            servers.move(build.pid, plan.core, servers.PRIORITY)


async def _packet_path(build: Build, load: Load) -> str:
    if build.kind in ("stock", "janus"):
        return ""
    text = await windows.read_metrics(load.session, build.url)
    return scrape.packet_path(scrape.parse(text))


async def _slice(build: Build, load: Load, plan: Plan, condition: Condition) -> Slice:
    """Let one build's legs talk for a while."""
    await record(load, build.pid, recorded=condition.recorded)
    await _settle(load, plan, condition)
    pids = measure.family(build.pid)
    begin, used = time.monotonic(), measure.cpu_seconds(pids)
    async with (
        windows.scraping(build.url, condition.scrape),
        _stopping(build.pid, condition.stops),
    ):
        await asyncio.sleep(plan.seconds)
    end, used = time.monotonic(), measure.cpu_seconds(pids) - used
    for talker in load.talkers:
        talker.stop()
    lateness = [late for talker in load.talkers for late in talker.lateness]
    if not lateness and not condition.silent:
        raise RuntimeError(
            f"the calls at {build.name} have ended: it waited too long without a core"
        )
    await asyncio.sleep(DRAIN_SECONDS)
    measured = Slice(
        build=build.name,
        what=condition.what,
        cpu_per_leg=100 * used / (end - begin) / len(load.talkers),
        delays=_delays(load, begin, end),
        worst_rate=min(windows.rates(load.talkers, begin, end)),
        lateness=measure.percentile(lateness, 99),
        transit=[] if condition.dtx else windows.transit(load.talkers, begin, end),
    )
    gc.collect()
    return measured


async def _settle(load: Load, plan: Plan, condition: Condition) -> None:
    """Let what is measured begin, and wait until it has."""
    for talker in load.talkers:
        talker.begin_window(Impairment(seed=talker.number, loss=condition.loss))
        if isinstance(talker, BulkLeg) and condition.dtx:
            talker.resume(dtx=True)
        elif not condition.silent:
            talker.resume()
    await asyncio.sleep(plan.settle)
    # While all is calm this finds what the server adds to the timestamps.
    windows.transit(load.talkers, 0.0, 0.0)
    for talker in load.talkers:
        talker.begin_lateness()
    if load.poller is not None:
        load.poller.align()


@asynccontextmanager
async def _stopping(pid: int, period: float) -> AsyncIterator[None]:
    """Stop a server's event loop again and again meanwhile (`generators.stopping`); period 0: never."""
    if not period:
        yield
        return
    task = asyncio.create_task(_stop_again(pid, period))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _stop_again(pid: int, period: float) -> None:
    while True:
        await asyncio.sleep(period * random.uniform(1 - STOPS_SPREAD, 1 + STOPS_SPREAD))
        os.kill(pid, signal.SIGUSR1)


def _delays(load: Load, begin: float, end: float) -> list[float]:
    found: list[float] = []
    for talker in [one for one in load.talkers if one.hears is not None][:_DECODED_TALKERS]:
        assert talker.hears is not None
        sent = [one for one in talker.hears.onsets if begin <= one.time < end]
        pairs = measure.match(sent, measure.heard_onsets(talker.peer.arrivals))
        found += [delay for _, delay in pairs]
    return found


def _report_progress(number: int, plan: Plan) -> None:
    if (number + 1) % 10 == 0 or number + 1 == plan.rounds:
        kinds = " and ".join(dict.fromkeys(build.kind for build in plan.builds))
        text = f"  {kinds}: round {number + 1} of {plan.rounds}"
        print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Do what standard input says."""
    tree: dict[str, Any] = json.load(sys.stdin)
    tree["builds"] = [Build(**build) for build in tree["builds"]]
    tree["conditions"] = [Condition(**condition) for condition in tree["conditions"]]
    plan = Plan(**tree)
    rounds = uvloop.run(run(plan))
    json.dump([[asdict(one) for one in each] for each in rounds], sys.stdout)


if __name__ == "__main__":
    main()
