"""What the bench runs: servers under loads, by section."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.load import servers
from tests.load.generator import Plan, Step
from tests.load.measure import Run, from_json

SECTIONS = (
    "echo", "janus", "relay", "capacity", "nodes", "loss", "jitter",
    "recording", "sockets", "streams", "playback", "agent", "pipecat", "sip", "events", "cluster",
)  # fmt: skip
LOSSES = (0.01, 0.05, 0.10)
JITTER = 0.030
LAG = 0.005
"""Seconds of event-loop lag (99th percentile) up to which a server counts as able."""
CAPACITY_SECONDS = 10.0
"""What a core carries is told by windows of at least this length."""
RECORDED_LEGS = 48
RECORDED_TURNS = 3
_PCM = {"BRIDGE_MEDIA__RELAY": "false"}
_NO_COPIES = {"BRIDGE_RECORDING__OGG": "[]"}
"""Of recordings: another process makes them later, of which the calls know nothing."""
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

    def grow(*through: int, least: float = 0.0) -> list[Step]:
        length = seconds if quick else max(seconds, least)
        return [Step(legs=number, seconds=length, settle=settle) for number in through]

    middle = [number for number in legs if number in (24, 48)] or list(legs[:1])
    found: list[Job] = []
    if "echo" in sections:
        found.append(Job(target="echo", kind="echo", steps=grow(*legs)))
        # Above this the stock server uses its whole core, and its figures mean nothing.
        found.append(Job(target="stock", kind="stock", server="stock", steps=grow(middle[0])))
    if "janus" in sections:
        found.append(Job(target="janus", kind="janus", server="janus", steps=grow(*middle)))
    if "relay" in sections:
        found.append(Job(target="pcm", kind="pair", environment=_PCM, steps=grow(*middle)))
        found.append(Job(target="relay", kind="pair", steps=grow(*middle)))
    if "capacity" in sections:
        found += _capacity(grow, quick=quick)
    if "nodes" in sections:
        found.append(Job(target="one node", kind="echo", pinned=False, steps=grow(middle[-1])))
        found.append(
            Job(
                target="two nodes",
                kind="echo",
                pinned=False,
                nodes=2,
                environment=_TWO,
                steps=grow(middle[-1]),
            )
        )
    if "loss" in sections:
        found.append(Job(target="loss", kind="echo", once=True, steps=_losses(middle[0], seconds)))
    if "jitter" in sections:
        calm = Step(legs=24, seconds=seconds)
        rough = Step(legs=24, seconds=2 * seconds, what="jitter 30 ms", jitter=JITTER)
        found.append(Job(target="mix", kind="trio", once=True, steps=[calm, rough]))
    if "recording" in sections:
        found += _recordings(seconds, turns=1 if quick else RECORDED_TURNS)
    return found


def _recordings(seconds: float, *, turns: int) -> list[Job]:
    """Make windows without and with recording in turn, of the same calls in the same process."""
    plain = Step(legs=RECORDED_LEGS, seconds=seconds)
    recorded = Step(legs=RECORDED_LEGS, seconds=seconds, what="recorded", recorded=True)
    return [
        Job(
            target=f"{road} kept",
            kind="pair",
            environment=_NO_COPIES | (_PCM if road == "pcm" else {}),
            once=True,
            steps=[plain, recorded] * turns,
        )
        for road in ("pcm", "relay")
    ]


def _capacity(grow: Any, *, quick: bool) -> list[Job]:
    through = {"pcm": [120, 160, 180, 200, 220, 240], "relay": [160, 240, 320, 400, 500]}
    return [
        Job(
            target=f"{target} capacity",
            kind="pair",
            environment=_PCM if target == "pcm" else {},
            steps=grow(*(steps[:1] if quick else steps), least=CAPACITY_SECONDS),
            once=True,
            stop_at_lag=LAG,
        )
        for target, steps in through.items()
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
        )
        limit = 60 + sum(step.settle + step.seconds + step.legs * 0.5 for step in job.steps)
        return from_json(
            child("tests.load.generator", plan.json(), core=generator_core, seconds=limit)
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
