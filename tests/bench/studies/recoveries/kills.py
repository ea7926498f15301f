"""Kill or stop the node beneath live calls, again and again, and count what their parties notice."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from tests.bench.studies.recoveries.events import EVENTS, EventFaults, kinds_of, wait_ended
from tests.bench.studies.recoveries.parties import KEY, Parties
from tests.bench.studies.recoveries.processes import descriptors, keep_log, serving_node
from tests.bench.studies.recoveries.table import Goal, Row, counted, timed
from tests.supervisor.test_main_upgrade import supervised
from tests.support.server import Server, free_media_ports

PACKETS: Final = 10
"""After which a party is heard again."""
UNDER_WAY: Final = 0.03
"""How long after its death packets of a node may still arrive, in seconds."""
PATIENCE: Final = 60.0
"""How long parties wait to be heard again, in seconds."""
EARLIEST, LATEST = 0.0, 2.0
"""Seconds after the parties are connected for long enough, between which the moment of a kill is drawn."""
LEAKED: Final = 4
"""Descriptors that a process may have more than before: those of requests, say."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done to the node."""

    name: str
    legs: int
    kills: int
    apart: float = 13.0
    """Seconds between two kills, at least; 0: as soon as all are heard again."""
    how: signal.Signals = signal.SIGKILL
    again: float | None = None
    """Each is killed a second time, so many seconds after all are heard again."""
    goal: Goal | None = None


@dataclass
class Found:
    """What was noticed; times in ms."""

    legs: int = 0
    """That were to survive a death, counted at each."""
    lost: list[str] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    """As `call.recovered` says."""
    twice: int = 0
    changes: list[str] = field(default_factory=list)
    events: EventFaults = field(default_factory=EventFaults)
    leaks: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why calls did not go on, as the log says."""

    def faults(self) -> dict[str, object]:
        """Return what there must be none of."""
        found = {name: getattr(self, name) for name in ("lost", "twice", "changes", "leaks")}
        found |= {"doubled": self.events.doubled, "missing": self.events.missing}
        found["reasons"] = dict(self.reasons)
        return {name: one for name, one in found.items() if one}

    def rows(self, plan: Plan) -> list[Row]:
        """Return the lines of the table."""
        share = 1.0 - len(self.lost) / max(1, self.legs)
        survived = f"{self.legs - len(self.lost)} of {self.legs}, {100 * share:.2f} %"
        goal = ">= 99.9 %" if self.legs >= 1000 else "all"
        met = share >= 0.999 if self.legs >= 1000 else not self.lost
        return [
            Row(f"{plan.name}: legs that survive", goal, survived, met),
            timed(f"{plan.name}: silence in ms", self.silences, plan.goal),
            timed(f"{plan.name}: `silentMs` of the events", self.told),
            counted(f"{plan.name}: SRTP or SRTCP numbers twice", [self.twice]),
            counted(f"{plan.name}: changes of peers' states", [len(self.changes)]),
            counted(
                f"{plan.name}: events doubled, missing",
                [len(self.events.doubled), len(self.events.missing)],
            ),
            counted(f"{plan.name}: processes with more descriptors than before", [len(self.leaks)]),
        ]


@asynccontextmanager
async def talking(legs: int, **settings: str) -> AsyncIterator[Parties]:
    """Run a bridge under a supervisor, and parties that talk to it."""
    ports = free_media_ports(3 * legs + 20)
    async with AsyncExitStack() as stack:
        wanted = {"RTC__PORTS": ports, "LIMITS__CALLS": str(4 * legs + 10)} | settings
        server = stack.enter_context(supervised(**wanted))
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=KEY))
        parties = Parties(server, http, stack)
        speaking = asyncio.get_running_loop().create_task(parties.speak(), name="speak")
        try:
            await parties.fill(legs)
            await parties.age()
            yield parties
        finally:
            speaking.cancel()


async def kill(parties: Parties, found: Found, plan: Plan) -> None:
    """Kill or stop the node, wait until the parties are heard again, and let those go who are not."""
    await parties.age()
    await asyncio.sleep(random.uniform(EARLIEST, LATEST) if plan.apart else 0.0)
    node, judged = serving_node(parties.server), list(parties.live)
    at = time.monotonic()
    os.kill(node, plan.how)
    dead = at + UNDER_WAY
    lost = await parties.wait_heard(lambda one: one.heard.since(dead) >= PACKETS, PATIENCE)
    end = time.monotonic()
    found.legs += len(judged)
    for party in judged:
        party.recovered += party not in lost
        if party not in lost:
            found.silences.append(1000 * party.heard.silence(at, end))
    for party in lost:
        found.lost.append(party.call_id)
        await parties.leave(party)
    longest = max(found.silences[-len(judged) :], default=0.0)
    print(
        f"{plan.how.name}: {len(lost)} of {len(judged)} lost, silence {longest:.0f} ms", flush=True
    )


async def kill_often(parties: Parties, found: Found, plan: Plan) -> None:
    """Do what is planned."""
    before = _descriptors(parties.server)
    for number in range(plan.kills):
        begun = time.monotonic()
        await parties.fill(plan.legs)
        await kill(parties, found, plan)
        if plan.again is not None:
            await asyncio.sleep(plan.again)
            await kill(parties, found, plan)
        if number < plan.kills - 1:
            await asyncio.sleep(begun + plan.apart - time.monotonic())
    await parties.fill(plan.legs)
    await parties.age()
    found.leaks = leaks(before, _descriptors(parties.server))


async def study(plan: Plan, **settings: str) -> Found:
    """Start a bridge with calls, kill its node as planned, and look."""
    found = Found()
    async with talking(plan.legs, **settings) as parties:
        try:
            await kill_often(parties, found, plan)
            for party in parties.all:
                found.twice += party.heard.twice()
                found.changes += [f"{party.call_id}: {one}" for one in party.states]
            await parties.hang_up()
            await _check_events(parties, found, plan)
        finally:
            found.reasons = _reasons(parties.server.log())
            keep_log(parties.server, plan.name)
    return found


def leaks(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Name the processes that have more descriptors than before, with as many calls."""
    return [
        f"{name}: {before[name]} before, {after[name]} after"
        for name in before
        if after[name] > before[name] + LEAKED
    ]


async def _check_events(parties: Parties, found: Found, plan: Plan) -> None:
    told = await wait_ended(parties.server, [one.call_id for one in parties.all])
    kinds = kinds_of(told)
    found.told = [one.data["silentMs"] for one in told if one.kind == "call.recovered"]
    for party in parties.all:
        if party.call_id in found.lost:
            continue
        had, recovered = kinds[party.call_id], party.recovered
        if not plan.apart:  # a node that dies before it has reported leaves that to its successor
            recovered = max(1, min(recovered, had["call.recovered"]))
        found.events.check(party.call_id, had, EVENTS | {"call.recovered": recovered})


def _descriptors(server: Server) -> dict[str, int]:
    node = serving_node(server)
    return {"supervisor": descriptors(server.process.pid), "node": descriptors(node)}


def _reasons(log: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in log.splitlines():
        for event in (" call.not_recovered ", " node.crash_loop ", " handover.too_late "):
            if event in line:
                _, _, why = line.partition("why=")
                found[event.strip() + (f": {why}" if why else "")] += 1
    with suppress(KeyError):
        del found[""]
    return found
