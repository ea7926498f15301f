"""Numbers to reach, and whether they were."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.capacity import capacity, packet_path, strayed
from tests.bench.generators.dialling import Dialled
from tests.bench.generators.playing import Played
from tests.bench.generators.sockets import SocketLoad
from tests.bench.generators.speech import Heard
from tests.bench.generators.talks import Talked
from tests.bench.jobs import LOSSES, SILENT
from tests.bench.measure import Run, percentile
from tests.bench.reports import service_targets, turns
from tests.bench.reports.comparison import Comparison
from tests.bench.reports.reading import Reading, fastest
from tests.bench.reports.rows import Row, find
from tests.bench.reports.turns import Measured
from tests.bench.reports.verdict import Verdict, at_most, judged
from tests.bench.studies import machines, paths
from tests.bench.studies.event_path import EventLoad
from tests.bench.studies.machines import Machines
from tests.bench.studies.pipecat_echo import PipecatEcho

PCM_DELAY, PASSTHROUGH_DELAY, MIX_DELAY = 0.005, 0.002, 0.120
DELAY_LEGS = 96
"""Delays are held against targets up to so many legs; with more a core may be full."""
CALLS = {
    ("pcm", "compiled"): 90,
    ("passthrough", "compiled"): 200,
    ("pcm", "python"): 60,
    ("passthrough", "python"): 120,
    ("pcm", "apart"): 120,
    ("passthrough", "apart"): 300,
}
"""Two-leg calls on a core, by how they go and over which packet path; apart: Python is on the other core."""
SILENCE = 0.10
RISE = 1.05
"""Ratio up to which CPU per leg counts as not rising: runs differ by as much."""
NODES = 1.10
CROSSING = 0.001
FRAMES = 50.0
AFTER_LOSS = 0.020
PESQ = 0.15
MEMORY_PER_LEG = 700_000
ANSWER_P95 = 0.020


@dataclass(slots=True)
class Results:
    """All that a run of the bench has measured."""

    runs: list[Run] = field(default_factory=list)
    speech: list[Heard] = field(default_factory=list)
    crossing: dict[str, list[float]] = field(default_factory=dict)
    sockets: list[SocketLoad] = field(default_factory=list)
    played: Played | None = None
    talked: Talked | None = None
    pipecat: PipecatEcho | None = None
    telephones: list[Comparison] = field(default_factory=list)
    dialled: Dialled | None = None
    events: list[EventLoad] = field(default_factory=list)
    machines: Machines | None = None
    paths: list[Comparison] = field(default_factory=list)
    stops: list[Measured] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """What was not measured, and why."""
    failed: list[str] = field(default_factory=list)
    """Sections that broke off."""
    readings: dict[str, Reading] = field(default_factory=dict)
    """Of the machine, during what is no window of a run, by its name."""

    def all_readings(self) -> list[Reading]:
        """Return every look at the machine."""
        windows = [one.reading for run in self.runs for one in run.windows]
        return [one for one in (*windows, *self.readings.values()) if one]

    @property
    def best(self) -> float:
        """The fastest sample of the reference."""
        return fastest(self.all_readings())

    def busy(self, name: str) -> bool:
        """Tell whether the machine was busy during something that is no window of a run."""
        found = self.readings.get(name)
        return found is not None and found.strays(self.best)


def verdicts(results: Results, table: Sequence[Row]) -> list[Verdict]:
    """Hold everything measured against its target; what was not measured is not judged."""
    return [
        *paths.verdicts(results.paths),
        *(
            verdict
            for one in results.stops
            for verdict in judged(turns.verdicts(one), busy=results.busy(f"stops {one.load}"))
        ),
        *_silences(table),
        *_delays(table),
        *_capacities(results),
        *_nodes(table),
        *judged(_crossing(results.crossing), busy=results.busy("crossing"), difference=True),
        *_growth(table),
        *_losses(table),
        *_speech(results.speech),
        *_jitter(table),
        *_memory(table),
        *_encoder_levels(table),
        *service_targets.recording(table),
        *(
            verdict
            for one in results.sockets
            for verdict in judged(service_targets.sockets([one]), busy=results.busy(one.name))
        ),
        *judged(service_targets.playback(results.played), busy=results.busy("playback")),
        *judged(service_targets.agents(results.talked), busy=results.busy("agent")),
        *judged(service_targets.pipecat(results.pipecat), busy=results.busy("pipecat")),
        *judged(service_targets.events(results.events), busy=results.busy("events")),
        *service_targets.telephones(results.telephones),
        *judged(service_targets.calling(results.dialled), busy=results.busy("dialling")),
        *machines.verdicts(results.machines, busy=results.busy("cluster")),
    ]


def _delays(table: Sequence[Row]) -> Iterator[Verdict]:
    limits = {"echo": PCM_DELAY, "pcm": PCM_DELAY, "passthrough": PASSTHROUGH_DELAY}
    for row in table:
        if row.what or row.target not in limits or row.legs > DELAY_LEGS:
            continue
        where = f"{row.legs} legs: {row.target}"
        found = [at_most(f"{where}, delay p95", limits[row.target], row.delay_p95)]
        found.append(_rate(where, row))
        if row.target == "echo":
            found.append(at_most(f"{where}, offer answered p95", ANSWER_P95, row.answer_p95))
        yield from judged(found, busy=row.busy)


def _capacities(results: Results) -> Iterator[Verdict]:
    done = set()
    for run in results.runs:
        if not run.target.endswith(" capacity"):
            continue
        load, *_ = words = run.target.split()
        found, path = capacity(run), "apart" if "apart" in words else packet_path(run)
        # Where nothing is compiled, both runs of a load went over the same path.
        if (load, path) in done:
            continue
        done.add((load, path))
        wanted = CALLS[load, path]
        calls = found.calls if found else 0
        verdict = Verdict(
            f"two-leg calls on a core, {load}, {path} path, p99 < 5 ms",
            f">= {wanted}",
            f"{calls}, extrapolated" if found and found.extrapolated else str(calls),
            calls >= wanted,
        )
        yield from judged([verdict], busy=strayed(run, results.best))


def _silences(table: Sequence[Row]) -> Iterator[Verdict]:
    for silent in table:
        load, _, rest = silent.target.partition(" ")
        if rest != "silent" or silent.what != SILENT:
            continue
        talking = find(table, silent.target, silent.legs)
        if talking is not None:
            ratio = silent.cpu_per_leg / talking.cpu_per_leg
            yield Verdict(
                f"CPU, silent connected leg / talking one, {load}",
                f"<= {SILENCE:.2f}",
                f"{ratio:.2f}",
                ratio <= SILENCE,
            )


def _nodes(table: Sequence[Row]) -> Iterator[Verdict]:
    for two in table:
        one = find(table, "one node", two.legs)
        if two.target == "two nodes" and one is not None:
            ratio = two.cpu_per_leg / one.cpu_per_leg
            yield Verdict(
                f"{two.legs} legs: CPU per leg, two nodes / one",
                f"<= {NODES:.2f}",
                f"{ratio:.2f}",
                ratio <= NODES,
            )


def _crossing(crossing: Mapping[str, Sequence[float]]) -> Iterator[Verdict]:
    if crossing:
        extra = statistics.median(crossing["wrong"]) - statistics.median(crossing["right"])
        yield at_most("request to the wrong node, more than to the right one", CROSSING, extra)


def _growth(table: Sequence[Row]) -> Iterator[Verdict]:
    rows = (row for row in table if row.target == "echo" and row.legs <= DELAY_LEGS)
    echo = sorted(rows, key=lambda row: row.legs)
    if len(echo) < 2:
        return
    rises = [
        later.cpu_per_leg / earlier.cpu_per_leg
        for index, later in enumerate(echo)
        for earlier in echo[:index]
    ]
    legs = ", ".join(str(row.legs) for row in echo)
    yield Verdict(
        f"CPU per leg at {legs} legs does not rise",
        f"<= {RISE:.2f}",
        f"{max(rises):.2f} at most",
        max(rises) <= RISE,
        busy=any(row.busy for row in echo),
    )


def _losses(table: Sequence[Row]) -> Iterator[Verdict]:
    calm = next((row for row in table if row.target == "loss" and not row.what), None)
    if calm is None:
        return
    for loss in LOSSES:
        during = find(table, "loss", calm.legs, f"{loss:.0%} loss")
        after = find(table, "loss", calm.legs, f"after {loss:.0%} loss")
        if during is not None:
            yield from judged([_rate(f"{loss:.0%} loss", during)], busy=during.busy)
        if after is not None:
            extra = after.delay_p95 - calm.delay_p95
            found = [at_most(f"2 s after {loss:.0%} loss: delay above before", AFTER_LOSS, extra)]
            yield from judged(found, busy=after.busy or calm.busy, difference=True)


def _speech(heard: Sequence[Heard]) -> Iterator[Verdict]:
    for loss in dict.fromkeys(one.loss for one in heard):
        worst = min(one.bridge - one.libopus for one in heard if one.loss == loss)
        yield Verdict(
            f"{loss:.0%} loss: PESQ, bridge less libopus alone, worst voice",
            f">= {-PESQ:.2f}",
            f"{worst:+.2f}",
            worst >= -PESQ,
        )


def _jitter(table: Sequence[Row]) -> Iterator[Verdict]:
    for row in table:
        if row.target == "mix" and row.what:
            found = [at_most(f"{row.what}: delay p95 of a mix", MIX_DELAY, row.delay_p95)]
            yield from judged(found, busy=row.busy)
            if not math.isnan(row.concealed):
                yield Verdict(
                    f"{row.what}: frames concealed",
                    "< 1 %",
                    f"{row.concealed:.2%}",
                    row.concealed < 0.01,
                )


def _memory(table: Sequence[Row]) -> Iterator[Verdict]:
    row = find(table, "echo", 48)
    if row is not None and not math.isnan(row.memory_per_leg):
        yield Verdict(
            "memory per leg, 24 to 48 legs",
            f"<= {MEMORY_PER_LEG / 1e6:.1f} MB",
            f"{row.memory_per_leg / 1e6:.2f} MB",
            row.memory_per_leg <= MEMORY_PER_LEG,
        )


def _encoder_levels(table: Sequence[Row]) -> Iterator[Verdict]:
    # What a core cannot carry is to step down; everything else is measured at one encoder level.
    encoder_levels = {
        level for row in table if "capacity" not in row.target for level in row.encoder_levels
    }
    if encoder_levels:
        told = ", ".join(f"{level:.0f}" for level in sorted(encoder_levels))
        one = Verdict("encoder level does not change", "one", told, len(encoder_levels) == 1)
        yield from judged([one], busy=any(row.busy for row in table))


def _rate(where: str, row: Row) -> Verdict:
    # One packet more or less at each edge of the window is not a packet lost.
    enough = FRAMES - 2 / row.seconds
    return Verdict(
        f"{where}, packets/s on the worst leg",
        f"{FRAMES:.1f}",
        f"{row.rate:.1f}",
        row.rate >= enough,
    )


def late(runs: Sequence[Run]) -> float:
    """Return how late generators were at most, seconds (99th percentile of a window)."""
    return max((window.lateness for run in runs for window in run.windows), default=0.0)


def busy(runs: Sequence[Run]) -> float:
    """Return how much of its core a generator used at most, percent."""
    return max((window.generator_cpu for run in runs for window in run.windows), default=0.0)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Return median and 95th percentile."""
    return percentile(values, 50), percentile(values, 95)
