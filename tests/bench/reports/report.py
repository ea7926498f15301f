"""The report of the bench: tables in Markdown, and everything as JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tests.bench.capacity import HEADS as CAPACITY_HEADS
from tests.bench.capacity import Capacity, capacity, cells
from tests.bench.reports import service_report, turns
from tests.bench.reports.reading import BUSY
from tests.bench.reports.rows import Row, find
from tests.bench.reports.targets import Results, spread
from tests.bench.reports.verdict import Verdict, outcome
from tests.bench.studies import machines, paths

TITLES = {
    "echo": "bridge, echo",
    "pcm": "bridge, two legs through PCM",
    "passthrough": "bridge, two legs, passthrough",
    "stock": "stock aiortc, echo",
    "wrtc": "libwebrtc (wrtc), echo",
    "janus": "Janus AudioBridge, two legs",
    "one node": "bridge, echo, one node, unpinned",
    "two nodes": "bridge, echo, two nodes, unpinned",
    "loss": "bridge, echo",
    "mix": "bridge, three legs mixed",
    "pcm capacity": "bridge, two legs through PCM",
    "passthrough capacity": "bridge, two legs, passthrough",
    "pcm python capacity": "bridge, two legs through PCM",
    "passthrough python capacity": "bridge, two legs, passthrough",
    "pcm apart capacity": "bridge, two legs through PCM, Python on the other core",
    "passthrough apart capacity": "bridge, two legs, passthrough, Python on the other core",
    "pcm silent": "bridge, two legs through PCM",
    "passthrough silent": "bridge, two legs, passthrough",
    "pcm kept": "bridge, two legs through PCM",
    "passthrough kept": "bridge, two legs, passthrough",
}

_HEADS = (
    "server", "legs", "network", "C loops", "CPU/leg %", "least to most", "/ Janus", "/ stock",
    "delay p50 ms", "p95", "max", "look-ahead ms", "packets/s worst", "MB/leg",
    "answer p95 ms", "lag p99 ms", "level", "passthrough %", "packet path",
)  # fmt: skip


def markdown(
    results: Results, table: Sequence[Row], found: Sequence[Verdict], notes: Sequence[str]
) -> str:
    """Write the report."""
    parts = [
        ruled(heads, lines)
        for heads, lines in (
            (_HEADS, [_cells(row, table) for row in table]),
            (paths.HEADS, [paths.cells(one) for one in results.paths]),
            (turns.HEADS, [turns.cells(one) for one in results.stops]),
            (CAPACITY_HEADS, _capacity_lines(results)),
        )
        if lines
    ]
    if results.crossing:
        parts.append(ruled(_CROSSING_HEADS, _crossing(results.crossing, "node")))
    if results.machines:
        parts.append(ruled(machines.HEADS, machines.costs(results.machines)))
        parts.append(ruled(_CROSSING_HEADS, _crossing(results.machines.requests, "machine")))
    if results.speech:
        parts.append(ruled(_SPEECH_HEADS, _speech(results)))
    if results.sockets:
        parts.append(ruled(service_report.SOCKET_HEADS, service_report.sockets(results.sockets)))
    if lines := service_report.times(results, masked=False):
        parts.append(ruled(service_report.TIME_HEADS, lines))
    if results.telephones:
        lines = service_report.telephones(results, masked=False)
        parts.append(ruled(service_report.TELEPHONE_HEADS, lines))
    if results.events:
        lines = service_report.events(results.events)
        parts.append(ruled(service_report.EVENT_HEADS, lines))
    if found:
        parts.append(ruled(("target", "reach", "measured", "", "beyond"), _marks(found)))
    missed = [one.what for one in found if one.missed]
    verdict = f"**Missed: {'; '.join(missed)}.**" if missed else "Every target was met."
    parts.append(f"{verdict if found else 'Nothing was judged.'}\n")
    told = [
        *(f"not measured: {one}" for one in results.skipped),
        *(f"**broke off: {one}**" for one in results.failed),
        *notes,
        *service_report.notes(results.played, results.talked),
    ]
    parts.append("\n".join(f"- {line}" for line in told) + "\n")
    return "\n".join(parts)


def as_json(
    results: Results, table: Sequence[Row], found: Sequence[Verdict], notes: Sequence[str]
) -> dict[str, Any]:
    """Make the report as a JSON object; a figure that nothing was measured for is null."""
    tree = {
        "rows": [asdict(row) for row in table],
        "capacity": [asdict(one) for one in capacities(results)],
        "paths": [asdict(one) for one in results.paths],
        "stops": [asdict(one) for one in results.stops],
        "crossing": results.crossing,
        "speech": [asdict(one) for one in results.speech],
        "sockets": [asdict(one) for one in results.sockets],
        "played": results.played and asdict(results.played),
        "talked": results.talked and asdict(results.talked),
        "pipecat": results.pipecat and asdict(results.pipecat),
        "telephones": [asdict(one) for one in results.telephones],
        "dialled": results.dialled and asdict(results.dialled),
        "events": [asdict(one) for one in results.events],
        "machines": results.machines and asdict(results.machines),
        "targets": [asdict(one) for one in found],
        "reference": {
            "best": results.best,
            "samples": [asdict(one) for one in results.all_readings()],
        },
        "skipped": results.skipped,
        "failed": results.failed,
        "notes": list(notes),
    }
    cleaned: dict[str, Any] = _without_nan(tree)
    return cleaned


def _without_nan(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_nan(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_without_nan(value) for value in tree]
    return None if isinstance(tree, float) and tree != tree else tree


def _cells(row: Row, table: Sequence[Row]) -> tuple[str, ...]:
    janus = find(table, "janus", row.legs) if not row.what else None
    stock = find(table, "stock", row.legs) if not row.what else None
    return (
        TITLES.get(row.target, row.target),
        str(row.legs),
        f"{row.what or 'clean'}{', ' + BUSY if row.busy else ''}",
        multiple(row.times),
        f"{row.cpu_per_leg:.3f}",
        f"{row.cpu_least:.3f} to {row.cpu_most:.3f}",
        _ratio(row, janus),
        _ratio(row, stock),
        *(_number(1000 * each) for each in (row.delay_p50, row.delay_p95, row.delay_max)),
        _number(1000 * row.offset),
        f"{row.rate:.1f}",
        _number(row.memory_per_leg / 1e6, 2),
        _number(1000 * row.answer_p95),
        _number(1000 * row.lag_p99),
        "/".join(f"{level:.0f}" for level in row.encoder_levels),
        _number(100 * row.passthrough, 0),
        row.packet_path,
    )


def _ratio(row: Row, other: Row | None) -> str:
    return f"{row.cpu_per_leg / other.cpu_per_leg:.2f}" if other and other is not row else ""


def multiple(times: float) -> str:
    """Say how often a cost holds the reference's; empty without one."""
    return "" if times != times else f"{times:.1f} x"


def _number(value: float, digits: int = 1) -> str:
    return "" if value != value else f"{value:.{digits}f}"


def capacities(results: Results) -> list[Capacity]:
    """Tell how many calls a core carried in each run that looked for it."""
    runs = [run for run in results.runs if run.target.endswith(" capacity")]
    return [found for run in runs if (found := capacity(run, results.best)) is not None]


def _capacity_lines(results: Results) -> list[tuple[str, ...]]:
    return [cells(one, TITLES.get(f"{one.load} capacity", one.load)) for one in capacities(results)]


_CROSSING_HEADS = ("request to", "p50 ms", "p95 ms")


def _crossing(found: Mapping[str, Sequence[float]], where: str) -> list[tuple[str, ...]]:
    return [
        (f"the {place} {where}", *(f"{1000 * value:.2f}" for value in spread(seconds)))
        for place, seconds in found.items()
    ]


_SPEECH_HEADS = ("voice", "loss", "packets lost", "PESQ bridge", "PESQ libopus alone", "difference")


def _speech(results: Results) -> list[tuple[str, ...]]:
    lines = [
        (
            one.voice,
            f"{one.loss:.0%}",
            f"{one.lost} of {one.packets}",
            f"{one.bridge:.2f}",
            f"{one.libopus:.2f}",
            f"{one.bridge - one.libopus:+.2f}",
        )
        for one in results.speech
    ]
    middle = statistics.median(one.bridge - one.libopus for one in results.speech)
    return [*lines, ("median of all", "", "", "", "", f"{middle:+.2f}")]


def _marks(found: Sequence[Verdict]) -> list[tuple[str, ...]]:
    return [
        (
            one.what,
            one.target,
            f"{one.measured}{', ' + BUSY if one.busy else ''}",
            outcome([one]),
            one.aim,
        )
        for one in found
    ]


def ruled(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
    ruled = [heads, ["-" * width for width in widths], *lines]
    return "".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |\n"
        for line in ruled
    )
