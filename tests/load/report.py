"""From measured runs to the table: medians over the repeats, ratios, targets met or missed."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from tests.load.measure import Run, Window, percentile

CPU_RATIO = 0.30
DELAY_P95 = 0.015
ANSWER_P95 = 0.020
MEMORY_PER_LEG = 1_000_000
FRAMES = 50.0
EXTRA_DELAY_AT_LOSS = 0.020
GROWTH = 0.005

Figures: TypeAlias = "dict[tuple[str, int, float], Row]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: medians over the repeats."""

    target: str
    legs: int
    loss: float
    cpu_per_leg: float
    """Percent of a core."""
    delay_p50: float
    delay_p95: float
    delay_max: float
    """The worst of all repeats; all delays in seconds."""
    growth: float
    rate: float
    """Packets a second on the worst leg of the median repeat."""
    seconds: float
    """Length of a window."""
    answer_p95: float
    setup_p95: float
    memory_per_leg: float
    """Bytes."""
    heard: float
    """Share of the onsets sent that were heard."""
    offset: float
    """Look-ahead of both encoders, seconds."""
    generator_cpu: float
    generator_lateness: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target."""

    what: str
    target: str
    measured: str
    met: bool


def rows(runs: Sequence[Run]) -> list[Row]:
    """Sum up the runs, one row for each server, number of legs and loss."""
    keys = dict.fromkeys((r.target, r.legs, w.loss) for r in runs for w in r.windows)
    return [_row(runs, *key) for key in keys]


def _row(runs: Sequence[Run], target: str, legs: int, loss: float) -> Row:
    mine = [run for run in runs if (run.target, run.legs) == (target, legs)]
    windows = [window for run in mine for window in run.windows if window.loss == loss]

    def middle(figure: Callable[[Window], float]) -> float:
        return statistics.median(figure(window) for window in windows)

    return Row(
        target=target,
        legs=legs,
        loss=loss,
        cpu_per_leg=middle(lambda w: w.cpu_per_leg),
        delay_p50=middle(lambda w: percentile(w.delays, 50)),
        delay_p95=middle(lambda w: percentile(w.delays, 95)),
        delay_max=max(percentile(w.delays, 100) for w in windows),
        growth=middle(lambda w: w.growth),
        rate=middle(lambda w: min(w.rates)),
        seconds=middle(lambda w: w.seconds),
        answer_p95=statistics.median(percentile(run.answers, 95) for run in mine),
        setup_p95=statistics.median(percentile(run.setups, 95) for run in mine),
        memory_per_leg=statistics.median(run.memory_per_leg for run in mine),
        heard=middle(lambda w: len(w.delays) / w.onsets_sent if w.onsets_sent else 0.0),
        offset=middle(lambda w: percentile(w.offsets, 50)),
        generator_cpu=middle(lambda w: w.generator_cpu),
        generator_lateness=middle(lambda w: w.lateness),
    )


def verdicts(table: Sequence[Row]) -> list[Verdict]:
    """Hold the bridge's rows against the targets."""
    found: list[Verdict] = []
    figures: Figures = {(row.target, row.legs, row.loss): row for row in table}
    for row in table:
        if row.target == "bridge":
            clean = figures.get(("bridge", row.legs, 0.0))
            found += _clean(row, figures) if row.loss == 0 else _lossy(row, clean)
    return found


def _clean(row: Row, figures: Figures) -> list[Verdict]:
    where = f"{row.legs} legs"
    found = []
    stock = figures.get(("stock", row.legs, row.loss))
    if stock is not None:
        ratio = row.cpu_per_leg / stock.cpu_per_leg if stock.cpu_per_leg else math.inf
        found.append(
            Verdict(
                f"{where}: CPU per leg, bridge/stock",
                f"<= {CPU_RATIO:.2f}",
                f"{ratio:.2f}",
                ratio <= CPU_RATIO,
            )
        )
    memory = row.memory_per_leg
    return [
        *found,
        _at_most(f"{where}: echo delay p95", DELAY_P95, row.delay_p95),
        _rate(where, row),
        _at_most(f"{where}: offer answered p95", ANSWER_P95, row.answer_p95),
        Verdict(
            f"{where}: memory per leg",
            f"<= {MEMORY_PER_LEG / 1e6:.1f} MB",
            f"{memory / 1e6:.2f} MB",
            memory <= MEMORY_PER_LEG,
        ),
    ]


def _lossy(row: Row, clean: Row | None) -> list[Verdict]:
    where = f"{row.legs} legs, {row.loss:.0%} loss"
    found = [_rate(where, row), _at_most(f"{where}: growth of the delay", GROWTH, row.growth)]
    if clean is not None:
        extra = row.delay_p95 - clean.delay_p95
        found.append(_at_most(f"{where}: p95 above that without loss", EXTRA_DELAY_AT_LOSS, extra))
    return found


def _at_most(what: str, limit: float, value: float) -> Verdict:
    return Verdict(what, f"<= {1000 * limit:.0f} ms", f"{1000 * value:.1f} ms", value <= limit)


def _rate(where: str, row: Row) -> Verdict:
    # One packet more or less at each edge of the window is not a packet lost.
    enough = FRAMES - 2 / row.seconds
    return Verdict(
        f"{where}: packets/s on the worst leg", f"{FRAMES:.1f}", f"{row.rate:.1f}",
        row.rate >= enough,
    )  # fmt: skip


_HEADS = (
    "server", "legs", "loss", "CPU/leg %", "delay p50 ms", "p95", "max", "growth",
    "packets/s worst", "answer p95 ms", "set-up p95 ms", "MB/leg", "onsets heard %",
    "look-ahead ms",
)  # fmt: skip


def markdown(table: Sequence[Row], found: Sequence[Verdict], notes: Sequence[str]) -> str:
    """Write the report."""
    parts = [_table(_HEADS, [_cells(row) for row in table])]
    if found:
        marks = [
            (one.what, one.target, one.measured, "met" if one.met else "**missed**")
            for one in found
        ]
        parts.append(_table(("target", "reach", "measured", ""), marks))
    parts.append("\n".join(f"- {note}" for note in notes) + "\n")
    return "\n".join(parts)


def as_json(table: Sequence[Row], found: Sequence[Verdict], notes: Sequence[str]) -> dict[str, Any]:
    """Make the report as a JSON object; a figure that nothing was measured for is null."""
    return {
        "rows": [
            {name: None if figure != figure else figure for name, figure in asdict(row).items()}
            for row in table
        ],
        "targets": [asdict(one) for one in found],
        "notes": list(notes),
    }


def _cells(row: Row) -> tuple[str, ...]:
    times = (row.delay_p50, row.delay_p95, row.delay_max, row.growth)
    return (
        row.target,
        str(row.legs),
        f"{row.loss:.0%}",
        f"{row.cpu_per_leg:.2f}",
        *(f"{1000 * each:.1f}" for each in times),
        f"{row.rate:.1f}",
        f"{1000 * row.answer_p95:.1f}",
        f"{1000 * row.setup_p95:.0f}",
        f"{row.memory_per_leg / 1e6:.2f}",
        f"{100 * row.heard:.0f}",
        f"{1000 * row.offset:.1f}",
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
    ruled = [heads, ["-" * width for width in widths], *lines]
    return "".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |\n"
        for line in ruled
    )
