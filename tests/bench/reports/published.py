"""The bench's figures as docs/performance.md and the README show them: fewer lines than the report."""

import os
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.capacity import Capacity
from tests.bench.reports import service_report
from tests.bench.reports.comparison import Comparison
from tests.bench.reports.reading import BUSY
from tests.bench.reports.report import TITLES, capacities, multiple, ruled
from tests.bench.reports.rows import Row
from tests.bench.reports.targets import Results
from tests.bench.reports.turns import Measured
from tests.bench.reports.verdict import Verdict, outcome
from tests.bench.studies.paths import JANUS, LEGS, LIBWEBRTC, OURS, STOCK, what

TABLES, SUMMARY = "bench", "bench-summary"
"""Names of the places that the bench writes: between `<!-- NAME -->` and `<!-- /NAME -->`."""
_LEGS = LEGS[0]
_SERVERS = ("echo", "pcm", "passthrough", "stock", "wrtc", "janus")
_SERVER_HEADS = (
    "server",
    "legs",
    "of the C loop",
    "CPU a leg",
    "delay p50 / p95",
    "packets/s, worst leg",
)
_STOP_HEADS = (
    "every packet, the event loop stopped again and again", "legs", "", "p50 / p95 / p99 / max", "later than 20 ms",
)  # fmt: skip
_CAPACITY_HEADS = (
    "calls of two legs on a core", "packet path", "calls", "packets p99, unscraped / scraped / at scrapes",
)  # fmt: skip
_OTHERS = (JANUS, STOCK, LIBWEBRTC)
_RATIO_HEADS = ("CPU per leg, in turn", "ratio, median and quartiles", "first / second, of a core")
_SOCKET_HEADS = (
    "50 media sockets, echoed", "of the C loop", "CPU a socket", "there and back p50 / p95",
)  # fmt: skip
_SUMMARY_HEADS = (
    "what", f"CPU beside {' / '.join(_OTHERS)}", "of the C loop", "CPU, of a core", "delay p50 / p95",
)  # fmt: skip
_NOTICED = ("an asset that was asked for is heard", "an agent that is spoken over is silent")
_VARIANTS = (
    re.compile(r"^(?P<one>\d+) legs: (?P<rest>.*)$"),
    re.compile(r"^(?P<rest>\d+ sockets), (?P<one>\w+)(?P<more>: .*)$"),
    re.compile(r"^(?P<rest>(?:2 s after )?)(?P<one>\d+%)(?P<more> loss.*)$"),
)
"""Targets that are judged for several numbers of legs, kinds of sockets, shares of loss."""


def markdown(results: Results, rows: Sequence[Row], found: Sequence[Verdict], *, about: str) -> str:
    """Return the tables of docs/performance.md, ratios first, below a line that says where they come from."""
    parts = [f"{about}.\n"]
    if results.paths:
        parts.append(ruled(_RATIO_HEADS, [_ratio(one, results) for one in results.paths]))
    if servers := [_server(row) for name in _SERVERS for row in rows if _clean(row, name)]:
        parts.append(ruled(_SERVER_HEADS, servers))
    if results.stops:
        parts.append(ruled(_STOP_HEADS, [_stopped(one, results) for one in results.stops]))
    if carried := capacities(results):
        parts.append(ruled(_CAPACITY_HEADS, [_carried(one) for one in carried]))
    if results.sockets:
        lines = [(title, *figures) for title, *figures in _sockets(results)]
        parts.append(ruled(_SOCKET_HEADS, lines))
    if times := service_report.times(results):
        parts.append(ruled(service_report.TIME_HEADS, times))
    if results.telephones:
        parts.append(ruled(service_report.TELEPHONE_HEADS, service_report.telephones(results)))
    if found:
        parts.append(ruled(("what", "reach", "measured", ""), gathered(found)))
    return "\n".join(parts)


def summary(results: Results, rows: Sequence[Row]) -> str:
    """Return the README's table, ratios first: servers, sockets, and two times that people notice."""
    beside = {one.load: f"{one.ratio:.2f}" for one in results.paths}
    lines = []
    for name in _SERVERS:
        for row in rows:
            if _clean(row, name) and row.legs == _LEGS:
                ratios = [beside.get(what(name, _LEGS, OURS, other), "-") for other in _OTHERS]
                _, _, times, cpu, delays, _ = _server(row)
                told = " / ".join(ratios) if set(ratios) != {"-"} else ""
                lines.append((TITLES[name], told, times, _a(cpu, "leg"), delays))
    for title, times, cpu, delays in _sockets(results):
        lines.append((f"socket, {title}", "", times, _a(cpu, "socket"), delays))
    for told, _, p50, p95, *_ in service_report.times(results):
        if told in _NOTICED:
            lines.append((told, "", "", "", p50 if p50 == BUSY else f"{p50} / {p95} ms"))
    return ruled(*measured(_SUMMARY_HEADS, lines))


def measured(
    heads: Sequence[str], lines: Sequence[tuple[str, ...]]
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Leave out columns for which the machine was busy more often than not, and lines with nothing left."""
    columns = [[line[i] for line in lines] for i in range(len(heads))]
    kept = [
        i
        for i, cells in enumerate(columns)
        if cells.count(BUSY) <= len(cells) - cells.count(BUSY) - cells.count("")
    ]
    left = [tuple(line[i] for i in kept) for line in lines]
    told = [line for line in left if set(line[1:]) - {"", BUSY}]
    return [heads[i] for i in kept], told


def machine() -> str:
    """Say where and when something was measured."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()} ({platform.python_compiler()}); "
        f"{time.strftime('%Y-%m-%d')}"
    )


def gathered(found: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """Put what differs in the number of legs, or the like, into one line."""
    groups: dict[tuple[str, str], list[tuple[str, Verdict]]] = {}
    for verdict in found:
        name, one = _split(verdict.what)
        groups.setdefault((name, verdict.target), []).append((one, verdict))
    return [_line(name, target, members) for (name, target), members in groups.items()]


def publish(page: Path, name: str, text: str) -> None:
    """Replace what a page has between the markers of that name.

    Raises:
        ValueError: it has no such markers.
    """
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    head, begin, rest = page.read_text().partition(opening)
    _, end, tail = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"{page.name} has no {opening.strip()} … {closing.strip()}")
    page.write_text(f"{head}{opening}\n{text.strip()}\n\n{closing}{tail}")


def _split(what: str) -> tuple[str, str]:
    """Cut out what tells one of several like targets from the others: (the rest, that)."""
    for pattern in _VARIANTS:
        if match := pattern.match(what):
            parts = match.groupdict()
            if pattern is _VARIANTS[0]:
                return f"{parts['rest']}, at {{}} legs", parts["one"]
            return f"{parts['rest']}{{}}{parts['more']}".replace("s{}", "s, {}"), parts["one"]
    return what, ""


def _line(name: str, target: str, members: Sequence[tuple[str, Verdict]]) -> tuple[str, ...]:
    several = " / ".join(one for one, _ in members)
    measured = " / ".join(
        BUSY
        if verdict.busy
        else verdict.measured
        if verdict.met or len(members) == 1
        else f"**{verdict.measured}**"
        for _, verdict in members
    )
    return (
        name.format(several) if "{}" in name else name,
        target,
        BUSY if all(verdict.busy for _, verdict in members) else measured,
        outcome([verdict for _, verdict in members]),
    )


def _clean(row: Row, name: str) -> bool:
    return (row.target, row.what) == (name, "")


def _server(row: Row) -> tuple[str, ...]:
    absolute = (
        f"{row.cpu_per_leg:.2f} % of a core",
        f"{1000 * row.delay_p50:.1f} / {1000 * row.delay_p95:.1f} ms",
        f"{row.rate:.1f}",
    )
    shown = (BUSY,) * len(absolute) if row.busy else absolute
    return (TITLES[row.target], str(row.legs), multiple(row.times), *shown)


def _a(cpu: str, what: str) -> str:
    """Say of what a share of a core is, in fewer words."""
    return cpu.replace("of a core", f"per {what}")


def _ratio(one: Comparison, results: Results) -> tuple[str, ...]:
    absolute = f"{one.cost:.2f} / {one.cost_before:.2f} %"
    return (
        one.load.replace(": CPU per leg,", ":"),
        f"{one.ratio:.2f} ({one.lower:.2f} to {one.upper:.2f})",
        BUSY if results.busy(one.load) else absolute,
    )


def _stopped(one: Measured, results: Results) -> tuple[str, ...]:
    found = one.transit
    times = " / ".join(
        f"{1000 * each:.1f}" for each in (found.p50, found.p95, found.p99, found.longest)
    )
    shown = (f"{times} ms", f"{found.late / max(1, found.packets):.2%}")
    network = "1 % lost on the way in" if one.what == "loss+stops" else ""
    busy = results.busy(f"stops {one.load}")
    return (
        f"{TITLES.get(one.load, one.load)}: {one.variant}",
        str(one.legs),
        network,
        *((BUSY, BUSY) if busy else shown),
    )


def _carried(one: Capacity) -> tuple[str, ...]:
    title = TITLES.get(f"{one.load} capacity", one.load)
    late = " / ".join(f"{1000 * each:.1f}" for each in (one.unscraped, one.scraped, one.at_scrapes))
    calls = f"{one.calls}, extrapolated" if one.extrapolated else str(one.calls)
    return (title, one.packet_path, *((BUSY, BUSY) if one.busy else (calls, f"{late} ms")))


def _sockets(results: Results) -> list[tuple[str, str, str, str]]:
    """Make lines of sockets: kind, CPU as a multiple of the loop's, of a core, delays."""
    lines = []
    for one, line in zip(results.sockets, service_report.sockets(results.sockets), strict=True):
        title, _, cpu, p50, p95, *_ = line
        reading = results.readings.get(one.name)
        times = multiple(reading.times(one.cpu_per_socket)) if reading else ""
        absolute = (f"{cpu} % of a core", f"{p50} / {p95} ms")
        lines.append((title, times, *((BUSY, BUSY) if results.busy(one.name) else absolute)))
    return lines
