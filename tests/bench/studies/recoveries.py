"""Upgrade a bridge again and again beneath live calls of all kinds, and count what their parties notice.

    python -m tests.bench.studies.recoveries [--upgrades 10] [--calls 20] [--pause 3]

A gap is the longest time between two packets at an ear while an upgrade goes on, less what is usual between them; below it
stands that of the pause before. Ends with 1 when a call ended, an event is doubled or missing, a packet number came twice,
or a connection was made again; the times are printed beside their goals and decide nothing.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import numpy as np
import uvloop

from bridge.db.sqlite import FILE
from tests.bench.generators.all_calls import PASSED, REOPENED, Ear, Placed, Scene, far_parties
from tests.supervisor.test_main_upgrade import order, supervised
from tests.support.server import Server

GOALS: Final = {PASSED: (60, 150), REOPENED: (1000, 1000)}
"""Of gaps, by what becomes of the media socket: 95 % and all of them are shorter, in ms."""
BUSY_MACHINE: Final = frozenset({"call.problem", "call.problem_cleared"})
"""Events that come and go by themselves."""
EVENTS: Final = {"leg.joined": 2, "leg.connected": 2, "leg.left": 2, "call.ended": 1}
"""That each call has, and how many; of others one at most."""
AFTER_SECONDS: Final = 1.0
"""After an upgrade, still looked at."""
LOG: Final = Path("build/recoveries.log")
"""Takes the log of the bridge."""


class Told(NamedTuple):
    """An event of a call."""

    call_id: str
    kind: str
    data: dict[str, Any]


@dataclass
class Found:
    """What was found; times in ms."""

    ended: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    stayed: list[str] = field(default_factory=list)
    """What upgrades said after which calls were left."""
    handshakes: int = 0
    restarts: int = 0
    """Of ICE."""
    changes: list[str] = field(default_factory=list)
    """Of peers' states."""
    twice: int = 0
    """Packet numbers."""
    unheard: list[str] = field(default_factory=list)
    """Ears that hear nothing in the end."""
    gaps: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in GOALS})
    before: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in GOALS})
    silent: list[float] = field(default_factory=list)
    """As `call.recovered` says."""
    seconds: list[float] = field(default_factory=list)
    """That upgrades took."""

    def faults(self) -> dict[str, Any]:
        """Return what there must be none of."""
        measured = ("gaps", "before", "silent", "seconds")
        return {name: one for name, one in vars(self).items() if one and name not in measured}

    def table(self) -> str:
        """Return what was found beside its goals."""
        rows = [
            ("calls ended", "0", len(self.ended)),
            ("events doubled, missing", "0, 0", f"{len(self.doubled)}, {len(self.missing)}"),
            ("upgrades after which calls were left", "0", len(self.stayed)),
            ("DTLS handshakes, ICE restarts", "0, 0", f"{self.handshakes}, {self.restarts}"),
            ("changes of peers' states", "0", len(self.changes)),
            ("packet numbers twice", "0", self.twice),
            ("ears that hear nothing in the end", "0", len(self.unheard)),
        ]
        for kind, (most, longest) in GOALS.items():
            rows.append(
                (
                    f"gap in ms, sockets {kind}: p50, p95, max",
                    f"p95 {most}, max {longest}",
                    _percentiles(self.gaps[kind]),
                )
            )
            rows.append(("the same in the pause before", "", _percentiles(self.before[kind])))
        rows.append(("`silentMs` of the events: p50, p95, max", "", _percentiles(self.silent)))
        rows.append(("upgrades in ms: p50, p95, max", "", _percentiles(self.seconds)))
        lines = [f"| {what} | {goal} | {value} |" for what, goal, value in rows]
        return "\n".join(["| what | goal | found |", "|---|---|---|", *lines])


def gap(times: Sequence[float], usual: float, begin: float, end: float) -> float | None:
    """Return the longest gap between two moments, in ms; None where somebody does not hear all the time."""
    heard = [at for at in times if begin - 1.0 <= at <= end]
    if len(heard) < 0.5 * (end - begin) / usual:
        return None
    longest = max(later - one for one, later in pairwise([*heard, end]) if later > begin)
    return 1000 * max(0.0, longest - usual)


def check_events(
    calls: Sequence[Placed], told: Sequence[Told], upgrades: int, found: Found
) -> None:
    """Look for events that are doubled or missing, of calls that have been hung up."""
    for call in calls:
        kinds = Counter(one.kind for one in told if one.call_id == call.call_id)
        found.restarts += kinds["leg.restarted"]
        wanted = EVENTS | {"call.recovered": upgrades}
        if call.kind == "muted":
            wanted["call.muted"] = 2
        for kind in (kinds.keys() | wanted.keys()) - BUSY_MACHINE:
            expected = wanted.get(kind, 1)
            note = f"{call.kind}: {kinds[kind]} of {expected} {kind}"
            if kinds[kind] > expected:
                found.doubled.append(note)
            elif kind in wanted and kinds[kind] < expected:
                found.missing.append(note)


def events_of(server: Server) -> list[Told]:
    """Return all events of calls, in their order."""
    with sqlite3.connect(server.folder / "data" / FILE) as database:
        rows = database.execute("SELECT call_id, body FROM events ORDER BY seq").fetchall()
    database.close()
    read = ((call_id, json.loads(body)) for call_id, body in rows if call_id)
    return [Told(call_id, body["type"], body.get("data", {})) for call_id, body in read]


async def upgrade_often(scene: Scene, found: Found, *, upgrades: int, pause: float) -> None:
    """Upgrade the bridge beneath the calls."""
    for _ in range(upgrades):
        await asyncio.sleep(pause)
        scene.late = 0.0
        begun = time.monotonic()
        upgraded = await asyncio.to_thread(order, scene.server, "upgrade", "--wait")
        done = time.monotonic()
        if upgraded.returncode or ", 0 left" not in upgraded.stdout:
            found.stayed.append(upgraded.stdout + upgraded.stderr)
        await asyncio.sleep(AFTER_SECONDS)
        late = scene.late
        found.seconds.append(1000 * (done - begun))
        gaps = [
            _note_gaps(ear, found, begun - pause, begun, done + AFTER_SECONDS) for ear in scene.ears
        ]
        print(
            f"{done - begun:5.1f} s, {scene.connected()} of {len(scene.ears)} ears connected, "
            f"longest gap {max(gaps, default=0.0):.0f} ms, the program itself late by {1000 * late:.0f}",
            flush=True,
        )


def _note_gaps(ear: Ear, found: Found, pause: float, begun: float, done: float) -> float:
    times = ear.times()
    if (usual := gap(times, ear.usual, pause, begun)) is None:
        return 0.0  # it is held, or muted
    longest = gap(times, ear.usual, begun, done)
    longest = 1000 * (done - begun) if longest is None else longest
    found.before[ear.kind].append(usual)
    found.gaps[ear.kind].append(longest)
    return longest


async def check_hearing(scene: Scene, found: Found) -> None:
    """Look for ears to which nothing comes, once nobody is held or muted."""
    await scene.loosen()
    await asyncio.sleep(1.0)
    heard = [len(ear.times()) for ear in scene.ears]
    await asyncio.sleep(2.0)
    for ear, before in zip(scene.ears, heard, strict=True):
        found.changes += [f"{ear.name}: {state}" for state in ear.states]
        found.twice += sum(times - 1 for times in Counter(ear.numbers()).values())
        found.handshakes += ear.handshakes
        if len(ear.times()) < before + 1.0 / ear.usual:
            found.unheard.append(ear.name)


async def measure(scene: Scene, *, upgrades: int, pause: float) -> Found:
    """Upgrade, look, and end the calls."""
    found, server = Found(), scene.server
    await upgrade_often(scene, found, upgrades=upgrades, pause=pause)
    await check_hearing(scene, found)
    ended = {one.call_id for one in events_of(server) if one.kind == "call.ended"}
    found.ended = [f"{one.kind} {one.call_id}" for one in scene.calls if one.call_id in ended]
    await scene.hang_up()
    async with asyncio.timeout(30):
        while {one.call_id for one in scene.calls} - {
            one.call_id for one in events_of(server) if one.kind == "call.ended"
        }:
            await asyncio.sleep(0.2)
    told = events_of(server)
    found.silent = [one.data["silentMs"] for one in told if one.kind == "call.recovered"]
    check_events(scene.calls, told, upgrades, found)
    return found


async def study(*, upgrades: int, calls: int, pause: float) -> Found:
    """Start a bridge, fill it with calls, and measure."""
    async with AsyncExitStack() as stack:
        config, parties = await stack.enter_async_context(far_parties())
        server = stack.enter_context(supervised(config, NODES="2"))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        scene = Scene(server, http, stack, **parties)
        speaking = asyncio.get_running_loop().create_task(scene.speak())
        try:
            await scene.fill(calls)
            found = await measure(scene, upgrades=upgrades, pause=pause)
        finally:
            speaking.cancel()
            LOG.parent.mkdir(exist_ok=True)
            LOG.write_text(server.log())
    return found


def _percentiles(values: Sequence[float]) -> str:
    if not values:
        return "none"
    return ", ".join(f"{np.percentile(values, each):.0f}" for each in (50, 95, 100))


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.studies.recoveries")
    parser.add_argument("--upgrades", type=int, default=10)
    parser.add_argument("--calls", type=int, default=20, help="of all kinds in turn")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds before each upgrade")
    options = parser.parse_args()
    found = uvloop.run(study(upgrades=options.upgrades, calls=options.calls, pause=options.pause))
    print(found.table())
    for name, fault in found.faults().items():
        print(f"{name}: {fault}")
    return 1 if found.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
