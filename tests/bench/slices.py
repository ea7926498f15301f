"""The load generator of a comparison: builds alive at once take turns of a few seconds.

In each round every build carries the same packets for one slice, in random order, while the other
build's calls are silent; so both see the same machine within a few seconds, which separate runs do
not. Started by `tests.bench.against` with a plan (JSON) on standard input; writes the slices (JSON)
to standard output.
"""

import asyncio
import gc
import json
import random
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from tests.bench import measure, scrape, servers
from tests.bench.generators import windows
from tests.bench.generators.generator import Load, connect, grow
from tests.support.packets.impairment import Impairment

SSRC_SPACING = 0x1000
SETTLE_SECONDS = 0.3
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


@dataclass(slots=True, kw_only=True)
class Slice:
    """What one build did in one slice."""

    build: str
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


async def run(plan: Plan) -> list[list[Slice]]:
    """Measure every round; each has one slice of every build, in the order in which they ran."""
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
                )
            )
            await grow(load, plan.legs)
            for talker in load.talkers:
                talker.stop()
            loads.append((build, load))
        rounds = []
        for number in range(plan.rounds):
            order.shuffle(loads)
            rounds.append([await _turn(build, load, plan) for build, load in loads])
            _report_progress(number, plan)
        _let_all_run(plan)
        for build, load in loads:
            path = await _packet_path(build, load)
            for each in rounds:
                next(one for one in each if one.build == build.name).packet_path = path
        return rounds


async def _turn(build: Build, load: Load, plan: Plan) -> Slice:
    """Let one build have the core for a slice, while the others wait elsewhere."""
    if plan.core is None or plan.waiting_core is None:
        return await _slice(build, load, plan)
    for other in plan.builds:
        if other is not build:
            servers.move(other.pid, plan.waiting_core, servers.LAST)
    servers.move(build.pid, plan.core, servers.PRIORITY)
    return await _slice(build, load, plan)


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


async def _slice(build: Build, load: Load, plan: Plan) -> Slice:
    """Let one build's legs talk for a while."""
    for talker in load.talkers:
        talker.begin_window(Impairment())
        talker.resume()
    await asyncio.sleep(plan.settle)
    for talker in load.talkers:
        talker.lateness.clear()
    pids = measure.family(build.pid)
    begin, used = time.monotonic(), measure.cpu_seconds(pids)
    await asyncio.sleep(plan.seconds)
    end, used = time.monotonic(), measure.cpu_seconds(pids) - used
    for talker in load.talkers:
        talker.stop()
    lateness = [late for talker in load.talkers for late in talker.lateness]
    await asyncio.sleep(DRAIN_SECONDS)
    measured = Slice(
        build=build.name,
        cpu_per_leg=100 * used / (end - begin) / len(load.talkers),
        delays=_delays(load, begin, end),
        worst_rate=min(windows.rates(load.talkers, begin, end)),
        lateness=measure.percentile(lateness, 99),
    )
    gc.collect()
    return measured


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
    plan = Plan(**tree | {"builds": [Build(**build) for build in tree["builds"]]})
    rounds = uvloop.run(run(plan))
    json.dump([[asdict(one) for one in each] for each in rounds], sys.stdout)


if __name__ == "__main__":
    main()
