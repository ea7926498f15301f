"""From measured runs to rows: medians over the repeats."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench import scrape
from tests.bench.measure import Run, Window, percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: medians over the repeats."""

    target: str
    legs: int
    what: str
    cpu_per_leg: float
    """Percent of a core."""
    cpu_least: float
    cpu_most: float
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
    """Bytes that each leg added since the step before; NaN at the first."""
    heard: float
    """Share of the onsets sent that were heard."""
    offset: float
    """Look-ahead of both encoders, seconds."""
    lag_p99: float
    """Event-loop lag of the server over all repeats, seconds; NaN when it tells none."""
    encoder_levels: tuple[float, ...]
    passthrough: float
    """Share of the packets sent; NaN when the server does not tell."""
    concealed: float
    """Frames made up for clocked listeners, of those received; NaN when it does not tell."""
    generator_cpu: float
    generator_lateness: float
    packet_path: str = ""
    """`compiled` or `python`; empty when the server does not tell."""
    times: float = math.nan
    """CPU time as a multiple of the reference's for as many packets; NaN without one."""
    busy: bool = False
    """Whether the machine was busy during all windows: then ratios alone mean something."""


def rows(runs: Sequence[Run], best: float = math.nan) -> list[Row]:
    """Sum up the runs, one row for each target, number of legs and condition.

    Args:
        runs: What was measured.
        best: The fastest sample of the reference; windows in which it strayed are left out where others are left.
    """
    keys = dict.fromkeys((r.target, w.legs, w.what) for r in runs for w in r.windows)
    return [_row(runs, key, best) for key in keys]


def find(table: Sequence[Row], target: str, legs: int, what: str = "") -> Row | None:
    """Find a row."""
    wanted = (target, legs, what)
    return next((row for row in table if (row.target, row.legs, row.what) == wanted), None)


def _row(runs: Sequence[Run], key: tuple[str, int, str], best: float) -> Row:
    target, legs, what = key
    mine = [run for run in runs if run.target == target]
    found = [w for run in mine for w in run.windows if (w.legs, w.what) == (legs, what)]
    calm = [w for w in found if not (w.reading and w.reading.strays(best))]
    windows = calm or found

    def middle(figure: Callable[[Window], float]) -> float:
        return statistics.median(figure(window) for window in windows)

    costs = [window.cpu_per_leg for window in windows]
    return Row(
        target=target,
        legs=legs,
        what=what,
        cpu_per_leg=statistics.median(costs),
        cpu_least=min(costs),
        cpu_most=max(costs),
        delay_p50=middle(lambda w: percentile(w.delays, 50)),
        delay_p95=middle(lambda w: percentile(w.delays, 95)),
        delay_max=max(percentile(w.delays, 100) for w in windows),
        growth=middle(lambda w: w.growth),
        rate=middle(lambda w: min(w.rates)),
        seconds=middle(lambda w: w.seconds),
        answer_p95=statistics.median(percentile(run.answers[:legs], 95) for run in mine),
        setup_p95=statistics.median(percentile(run.setups[:legs], 95) for run in mine),
        memory_per_leg=statistics.median(_memory(run, legs) for run in mine),
        heard=middle(lambda w: len(w.delays) / w.onsets_sent if w.onsets_sent else 0.0),
        offset=middle(lambda w: percentile(w.offsets, 50)),
        lag_p99=scrape.quantile(_pooled(windows), 0.99),
        encoder_levels=tuple(
            sorted({level for window in windows for level in window.encoder_levels})
        ),
        passthrough=middle(lambda w: w.passthrough),
        concealed=middle(lambda w: w.concealed),
        generator_cpu=middle(lambda w: w.generator_cpu),
        generator_lateness=middle(lambda w: w.lateness),
        packet_path="/".join(sorted({w.packet_path for w in windows if w.packet_path})),
        times=middle(lambda w: w.reading.times(w.cpu_per_leg) if w.reading else math.nan),
        busy=not calm,
    )


def _memory(run: Run, legs: int) -> float:
    """Bytes that each leg added between the step before and the first one of so many legs."""
    last = None
    for window in run.windows:
        if window.legs == legs:
            if last is None:
                return math.nan
            return (window.resident - last.resident) / (legs - last.legs)
        last = window
    return math.nan


def _pooled(windows: Sequence[Window]) -> dict[float, float]:
    counts: dict[float, float] = {}
    for window in windows:
        for bound, count in window.lag:
            counts[bound] = counts.get(bound, 0.0) + count
    return counts
