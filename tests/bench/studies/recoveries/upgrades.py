"""Upgrade a bridge again and again beneath live calls of all kinds, and count what their parties notice.

A gap is the longest time between two packets at an ear while an upgrade goes on, less what is usual between them; below it
stands that of the pause before.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import aiohttp

from tests.bench.generators.all_calls import PASSED, REOPENED, Ear, Placed, Scene, far_parties
from tests.bench.studies.recoveries.events import (
    EVENTS,
    EventFaults,
    Told,
    events_of,
    kinds_of,
    wait_ended,
)
from tests.bench.studies.recoveries.processes import keep_log
from tests.bench.studies.recoveries.table import Goal, Row, counted, timed
from tests.supervisor.test_main_upgrade import order, supervised

GOALS: Final = {PASSED: Goal(60, 150), REOPENED: Goal(1000, 1000)}
"""Of gaps, by what becomes of the media socket."""
AFTER_SECONDS: Final = 1.0
"""After an upgrade, still looked at."""


@dataclass
class Found:
    """What was found; times in ms."""

    ended: list[str] = field(default_factory=list)
    events: EventFaults = field(default_factory=EventFaults)
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
        measured = ("events", "gaps", "before", "silent", "seconds")
        counts = {name: one for name, one in vars(self).items() if name not in measured}
        return {name: one for name, one in (counts | vars(self.events)).items() if one}

    def rows(self, factor: float = 1.0) -> list[Row]:
        """Return the lines of the table; `factor` is by how much the machine is slower than an idle one."""
        rows = [
            counted("upgrades: calls ended", [len(self.ended)]),
            counted(
                "upgrades: events doubled, missing",
                [len(self.events.doubled), len(self.events.missing)],
            ),
            counted("upgrades after which calls were left", [len(self.stayed)]),
            counted("upgrades: DTLS handshakes, ICE restarts", [self.handshakes, self.restarts]),
            counted("upgrades: changes of peers' states", [len(self.changes)]),
            counted("upgrades: packet numbers twice", [self.twice]),
            counted("upgrades: ears that hear nothing in the end", [len(self.unheard)]),
        ]
        for kind, goal in GOALS.items():
            what = f"upgrades: gap in ms, sockets {kind}"
            rows.append(timed(what, self.gaps[kind], goal.times(factor)))
            rows.append(timed("the same in the pause before", self.before[kind]))
        rows.append(timed("upgrades: `silentMs` of the events", self.silent))
        rows.append(timed("upgrades in ms", self.seconds))
        return rows


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
    kinds = kinds_of(told)
    for call in calls:
        had = kinds.get(call.call_id, Counter())
        found.restarts += had["leg.restarted"]
        expected = EVENTS | {"call.recovered": upgrades}
        if call.kind == "muted":
            expected["call.muted"] = 2
        found.events.check(call.kind, had, expected)


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
    told = await wait_ended(server, [one.call_id for one in scene.calls])
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
            keep_log(server, "upgrades")
    return found
