"""Two builds that took turns under the same load (`tests.bench.slices`): what a leg costs at each."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.measure import percentile
from tests.bench.slices import Slice

LIMIT = 1.05
"""Ratio up to which a leg may cost more than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One load at two builds."""

    load: str
    rounds: int
    cost: float
    """Median CPU per leg of the first build, percent of a core."""
    cost_before: float
    """Of the second one."""
    ratio: float
    """Median of the rounds' ratios."""
    lower: float
    upper: float
    """Quartiles of the ratios."""
    delay_p95: float
    delay_p95_before: float
    """Seconds."""
    worst_rate: float
    """Packets a second on its worst leg, median of the rounds."""
    packet_path: str = ""
    """Of the first build; empty when it does not tell."""

    @property
    def met(self) -> bool:
        """Whether a leg costs no more than before."""
        return self.ratio <= LIMIT


def cells(one: Comparison) -> tuple[str, ...]:
    """Make a line of a table: load, rounds, both costs, ratio with quartiles, delays, packets a second."""
    return (
        one.load,
        str(one.rounds),
        f"{one.cost:.3f}",
        f"{one.cost_before:.3f}",
        f"{one.ratio:.3f}",
        f"{one.lower:.3f}",
        f"{one.upper:.3f}",
        f"{1000 * one.delay_p95:.1f}",
        f"{1000 * one.delay_p95_before:.1f}",
        f"{one.worst_rate:.1f}",
    )


def compare(load: str, rounds: Sequence[Sequence[Slice]], *, first: str, second: str) -> Comparison:
    """Sum up the rounds of one load: what the `first` build costs beside the `second`."""
    here = [next(one for one in each if one.build == first) for each in rounds]
    there = [next(one for one in each if one.build == second) for each in rounds]
    ratios = [new.cpu_per_leg / old.cpu_per_leg for new, old in zip(here, there, strict=True)]
    return Comparison(
        load=load,
        rounds=len(rounds),
        cost=statistics.median(one.cpu_per_leg for one in here),
        cost_before=statistics.median(one.cpu_per_leg for one in there),
        ratio=statistics.median(ratios),
        lower=percentile(ratios, 25),
        upper=percentile(ratios, 75),
        delay_p95=percentile([delay for one in here for delay in one.delays], 95),
        delay_p95_before=percentile([delay for one in there for delay in one.delays], 95),
        worst_rate=statistics.median(one.worst_rate for one in here),
        packet_path=here[0].packet_path,
    )
