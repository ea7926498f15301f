"""What the bench runs: servers under loads, by section."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from tests.bench import servers
from tests.bench.generators.generator import Plan, Step
from tests.bench.measure import Run, from_json

SECTIONS = (
    "echo", "janus", "passthrough", "paths", "stops", "capacity", "silent", "nodes", "loss", "jitter",
    "recording", "sockets", "streams", "playback", "agent", "pipecat", "sip", "events", "cluster",
)  # fmt: skip
LOSSES = (0.01, 0.05, 0.10)
JITTER = 0.030
LAG = 0.005
"""Seconds of event-loop lag (99th percentile) up to which a server counts as able."""
CAPACITY_SECONDS = 10.0
"""What a core carries is told by windows of at least this length."""
SCRAPE_SECONDS = 5.0
"""Between two scrapes, while it is told."""
SCRAPED, SILENT = "scraped every 5 s", "silent"
SILENT_LEGS, SILENT_TURNS = 96, 2
CAPACITIES = {
    "pcm": (45, 60, 75, 90, 105, 120, 135, 150, 165, 180),
    "passthrough": (90, 120, 160, 208, 250, 300, 350, 400),
}
"""Two-leg calls that are tried, one number after the other."""
RECORDED_LEGS = 48
RECORDED_TURNS = 3
_PCM = {"BRIDGE_MEDIA__PASSTHROUGH": "false"}
_NO_COPIES = {"BRIDGE_RECORDING__OGG": "[]"}
"""Of recordings: another process makes them later, of which the calls know nothing."""
_PACKETS = {"BRIDGE_RECORDING__PASSTHROUGH": "opus"}
"""Passthrough calls are recorded as the packets that pass, undecoded."""
PYTHON_PATH = {"BRIDGE_RTC__COMPILED": "false"}
_TWO = {"BRIDGE_NODES": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One server under one load."""

    target: str
    """What the bench calls it; the rows of all its runs go together."""
    kind: str
    """Of the calls (`callers.caller`)."""
    steps: Sequence[Step]
    server: str = "bridge"
    environment: Mapping[str, str] = field(default_factory=dict)
    nodes: int = 1
    pinned: bool = True
    """Server and generator on a core each; else both on all of them."""
    once: bool = False
    """Not repeated."""
    stop_at_lag: float = 0.0
    bulk: bool = False
    """Whether legs are driven as many at once (`tests.bench.generators.bulk_legs`)."""
    apart: bool = False
    """Whether the server's thread `media` has its core alone, and all others share the generator's."""


def jobs(
    sections: Sequence[str], *, legs: Sequence[int], seconds: float, quick: bool = False
) -> list[Job]:
    """List the jobs of some sections.

    Args:
        sections: Of `SECTIONS`.
        legs: The load grows through these.
        seconds: Length of a window.
        quick: Fewer and smaller steps.
    """
    settle = 1.0 if quick else 1.5

    def grow(*through: int) -> list[Step]:
        return [Step(legs=number, seconds=seconds, settle=settle) for number in through]

    middle = [number for number in legs if number in (24, 48)] or list(legs[:1])
    paired = [number for number in legs if number >= 24] or list(legs[:1])
    found: list[Job] = []
    if "echo" in sections:
        found.append(Job(target="echo", kind="echo", steps=grow(*legs)))
        # Above this the stock server uses its whole core, and its figures mean nothing.
        found.append(Job(target="stock", kind="stock", server="stock", steps=grow(middle[0])))
        if find_spec("webrtc"):
            found.append(Job(target="wrtc", kind="stock", server="wrtc", steps=grow(*middle)))
    if "janus" in sections:
        found.append(Job(target="janus", kind="janus", server="janus", steps=grow(*middle)))
    if "passthrough" in sections:
        found.append(Job(target="pcm", kind="pair", environment=_PCM, steps=grow(*paired)))
        found.append(Job(target="passthrough", kind="pair", steps=grow(*paired)))
    others = {
        "capacity": lambda: _capacities(seconds, quick=quick),
        "silent": lambda: _silences(seconds, turns=1 if quick else SILENT_TURNS),
        "nodes": lambda: _nodes(grow(middle[-1])),
        "loss": lambda: [
            Job(target="loss", kind="echo", once=True, steps=_losses(middle[0], seconds))
        ],
        "jitter": lambda: [_mix(seconds)],
        "recording": lambda: _recordings(seconds, turns=1 if quick else RECORDED_TURNS),
    }
    for section, make in others.items():
        if section in sections:
            found += make()
    return found


def _mix(seconds: float) -> Job:
    calm = Step(legs=24, seconds=seconds)
    rough = Step(legs=24, seconds=2 * seconds, what="jitter 30 ms", jitter=JITTER)
    return Job(target="mix", kind="trio", once=True, steps=[calm, rough])


def _nodes(steps: Sequence[Step]) -> list[Job]:
    return [
        Job(target="one node", kind="echo", pinned=False, steps=steps),
        Job(target="two nodes", kind="echo", pinned=False, nodes=2, environment=_TWO, steps=steps),
    ]


def _recordings(seconds: float, *, turns: int) -> list[Job]:
    """Make windows without and with recording in turn, of the same calls in the same process."""
    plain = Step(legs=RECORDED_LEGS, seconds=seconds)
    recorded = Step(legs=RECORDED_LEGS, seconds=seconds, what="recorded", recorded=True)
    return [
        Job(
            target=f"{load} kept",
            kind="pair",
            environment=_NO_COPIES | (_PCM if load == "pcm" else _PACKETS),
            once=True,
            steps=[plain, recorded] * turns,
        )
        for load in ("pcm", "passthrough")
    ]


def _capacities(seconds: float, *, quick: bool) -> list[Job]:
    """Let both loads carry more and more calls.

    Over the packet path of the build, over Python's, and over the build's with Python on the generator's core.
    """
    return [
        Job(
            target=f"{load}{name} capacity",
            kind="pair",
            environment=(_PCM if load == "pcm" else {}) | path,
            apart=name == " apart",
            steps=capacity_steps(calls[:1] if quick else calls, seconds, quick=quick),
            once=True,
            stop_at_lag=LAG,
            bulk=True,
        )
        for name, path in (("", {}), (" python", PYTHON_PATH), (" apart", {}))
        for load, calls in CAPACITIES.items()
    ]


def capacity_steps(calls: Sequence[int], seconds: float, *, quick: bool = False) -> list[Step]:
    """Make a window without and one with scrapes for each number of two-leg calls."""
    length = seconds if quick else max(seconds, CAPACITY_SECONDS)
    steps = []
    for number in calls:
        steps.append(Step(legs=2 * number, seconds=length / 2, settle=1.5))
        scraped = Step(
            legs=2 * number,
            what=SCRAPED,
            seconds=length,
            settle=0.5,
            scrape=min(SCRAPE_SECONDS, length),
        )
        steps.append(scraped)
    return steps


def _silences(seconds: float, *, turns: int) -> list[Job]:
    """Make windows of talking and of silent connected legs in turn, of the same calls."""
    talking = Step(legs=SILENT_LEGS, seconds=seconds)
    silent = Step(legs=SILENT_LEGS, seconds=seconds, what=SILENT, silent=True, settle=3.0)
    return [
        Job(
            target=f"{load} silent",
            kind="pair",
            environment=_PCM if load == "pcm" else {},
            steps=[talking, silent] * turns,
            once=True,
            bulk=True,
        )
        for load in CAPACITIES
    ]


def _losses(legs: int, seconds: float) -> list[Step]:
    """Make clean windows and spells of loss in turn; what follows a spell begins 2 s after it."""
    steps = [Step(legs=legs, seconds=seconds)]
    for loss in LOSSES:
        steps.append(Step(legs=legs, seconds=seconds, what=f"{loss:.0%} loss", loss=loss))
        steps.append(Step(legs=legs, seconds=seconds / 2, what=f"after {loss:.0%} loss"))
    return steps


def perform(job: Job) -> Run:
    """Start a job's server and a generator, and bring what was measured.

    Raises:
        RuntimeError: either of them failed.
    """
    core, generator_core = servers.cores() if job.pinned else (None, None)
    with servers.start(job.server, core=core, **job.environment) as server:
        plan = Plan(
            target=job.target,
            kind=job.kind,
            url=server.url,
            pid=server.pid,
            steps=list(job.steps),
            nodes=job.nodes,
            stop_at_lag=job.stop_at_lag,
            bulk=job.bulk,
            core=core,
            beside=generator_core if job.apart else None,
        )
        limit = 60 + sum(step.settle + step.seconds + step.legs * 0.5 + 2 for step in job.steps)
        return from_json(
            child(
                "tests.bench.generators.generator", plan.json(), core=generator_core, seconds=limit
            )
        )


def child(module: str, plan: Mapping[str, Any], *, core: int | None, seconds: float) -> Any:
    """Run a module that reads a plan from standard input, and bring what it writes.

    Raises:
        RuntimeError: it failed.
        subprocess.TimeoutExpired: it took too long.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=servers.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        servers.pin(process.pid, core)
        output, _ = process.communicate(json.dumps(plan), timeout=seconds)
    finally:
        process.kill()
    if process.returncode:
        raise RuntimeError(f"{module} failed with {process.returncode}")
    return json.loads(output)
