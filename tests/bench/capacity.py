"""How many two-leg calls a core carries: from a load that grew until packets came late."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench import scrape
from tests.bench.jobs import LAG
from tests.bench.measure import PacketDelays, Run, Window

BUSY = 90.0
"""Percent of a core up to which CPU per leg is extrapolated to a number of calls."""
HEADS = (
    "calls of two legs on a core", "packet path", "calls", "measured up to", "CPU/leg % there",
    "p99 unscraped ms", "p99 scraped", "p99 at scrapes", "longest", "lag p99 by its probes",
    "first not carried", "p99 there ms", "generator CPU %", "late ms",
)  # fmt: skip
_TIRED = 0.010
"""Seconds; a generator later than this (99th percentile) is at its own limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many two-leg calls a core carries."""

    load: str
    packet_path: str
    calls: int
    extrapolated: bool
    """Whether generator or plan ended before the server did; then by the CPU per leg."""
    measured: int
    """Calls up to which it was measured."""
    cpu_per_leg: float
    """There, as the delays of packets; 99th percentiles in seconds."""
    unscraped: float
    scraped: float
    at_scrapes: float
    """Of packets sent while a scrape was under way."""
    longest: float
    probes: float
    """Event-loop lag as the server itself measures it, ten times a second."""
    beyond: int = 0
    """Calls that were tried next; 0: none."""
    lag_beyond: float = math.nan
    generator_cpu: float = 0.0
    """Percent of a core, at most."""
    generator_lateness: float = 0.0
    busy: bool = False
    """Whether the machine was busy meanwhile: then a core carries more."""


def capacity(run: Run, reference: float = math.nan) -> Capacity | None:
    """Tell from a load that grew how many calls a core carries; None when it carried none.

    Args:
        run: The load.
        reference: Its fastest sample.
    """
    late = next((window for window in run.windows if lag(window) >= LAG), None)
    able = [one for one in run.windows if late is None or one.legs < late.legs]
    if not able:
        return None
    best = able[-1]
    calls, cost = best.legs // 2, best.cpu_per_leg
    limited = (late is not None and late.lateness < _TIRED) or bool(run.broke_off)
    more = 0 if limited or not cost else int(BUSY / (2 * cost))
    there = [one for one in able if one.legs == best.legs]
    return Capacity(
        load=run.target.removesuffix(" capacity"),
        packet_path=packet_path(run),
        calls=max(calls, more),
        extrapolated=more > calls,
        measured=calls,
        cpu_per_leg=cost,
        unscraped=_worst([lag(one) for one in there if not one.scrapes]),
        scraped=_worst([lag(one) for one in there if one.scrapes]),
        at_scrapes=_worst([one.at_scrapes.p99 for one in there if one.at_scrapes]),
        longest=_worst([one.transit.longest for one in there if one.transit]),
        probes=_worst([probed(one) for one in there]),
        beyond=late.legs // 2 if late else 0,
        lag_beyond=lag(late) if late else math.nan,
        generator_cpu=max(one.generator_cpu for one in run.windows),
        generator_lateness=max(one.lateness for one in run.windows),
        busy=strayed(run, reference),
    )


def strayed(run: Run, best: float) -> bool:
    """Tell whether the machine was busy in a window of a run: then it carried fewer calls than it could."""
    return any(one.reading.strays(best) for one in run.windows if one.reading)


def lag(window: Window) -> float:
    """Return the 99th percentile of what packets waited, in seconds.

    Where packets were not followed, that of the server's own probes; infinite when it told none.
    """
    if isinstance(window.transit, PacketDelays):
        return window.transit.p99
    found = probed(window)
    return math.inf if math.isnan(found) else found


def probed(window: Window) -> float:
    """Return the 99th percentile of the event-loop lag that the server measured itself."""
    return scrape.quantile(dict(window.lag), 0.99)


def packet_path(run: Run) -> str:
    """Return which packet path a run took: Python's, unless the server says otherwise."""
    return next((one.packet_path for one in run.windows if one.packet_path), "python")


def cells(one: Capacity, title: str) -> tuple[str, ...]:
    """Make a line of the table."""
    return (
        title,
        one.packet_path,
        f"{one.calls}, extrapolated" if one.extrapolated else str(one.calls),
        str(one.measured),
        f"{one.cpu_per_leg:.3f}",
        *(
            _ms(each)
            for each in (one.unscraped, one.scraped, one.at_scrapes, one.longest, one.probes)
        ),
        str(one.beyond or ""),
        _ms(one.lag_beyond),
        f"{one.generator_cpu:.0f}",
        _ms(one.generator_lateness),
    )


def _worst(values: Sequence[float]) -> float:
    return max(values, default=math.nan)


def _ms(seconds: float) -> str:
    return "" if math.isnan(seconds) else f"{1000 * seconds:.1f}"
