"""What is known of the machine while something was measured on it: samples of the reference, before and after."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

STRAY = 1.10
"""Ratio to the best of a run from which the machine counts as busy."""
STOLEN = 0.10
"""Share of the time taken by others on the same host from which it does."""
BUSY = "machine busy"
"""Stands where an absolute figure would."""
PACKETS_PER_SECOND = 50


class Sample(NamedTuple):
    """One look at the machine."""

    at: float
    """Seconds, monotonic."""
    wall: float
    """Seconds that a packet takes; NaN where the loop cannot be compiled."""
    cpu: float
    """Seconds of CPU time that it takes."""
    stolen: float
    """Seconds that the core was given to others on the same host, since it started."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The samples before and after what was measured."""

    wall: list[float]
    cpu: list[float]
    steal: float
    """Share of the time between them."""

    def strays(self, best: float) -> bool:
        """Tell whether the machine was busy, by the fastest sample of the run."""
        return any(one > STRAY * best for one in self.wall) or self.steal > STOLEN

    def times(self, percent: float) -> float:
        """Return how often a leg's CPU time, in percent of a core, holds that of the loop for as many packets."""
        return percent / 100 / (PACKETS_PER_SECOND * statistics.mean(self.cpu))


def reading(before: Sample, after: Sample) -> Reading:
    """Put two samples together."""
    seconds = after.at - before.at
    steal = (after.stolen - before.stolen) / seconds if seconds > 0 else 0.0
    return Reading([before.wall, after.wall], [before.cpu, after.cpu], steal)


def told(readings: Sequence[Reading]) -> str:
    """Say how fast the machine was, and how often it was busy; empty when nobody could look."""
    best = fastest(readings)
    if math.isnan(best):
        return ""
    slowest = max(one for each in readings for one in each.wall)
    busy = sum(one.strays(best) for one in readings)
    return (
        f"the C loop took {1e6 * best:.0f} µs a packet at best and {1e6 * slowest:.0f} at most, "
        f"up to {max(one.steal for one in readings):.0%} of the time was stolen, "
        f"and the machine was busy during {busy} of {len(readings)} measurements"
    )


def fastest(readings: Iterable[Reading | None]) -> float:
    """Return the best of a run: seconds a packet; NaN when nothing was read."""
    found = [one for each in readings if each for one in each.wall if not math.isnan(one)]
    return min(found, default=math.nan)
