"""The table of the study: what was found beside its goals."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One line."""

    what: str
    goal: str
    found: str
    met: bool | None = None
    """None where there is no goal, or nothing was measured."""
    decides: bool = True
    """Whether the study has failed if it is missed: times are as good as the machine is idle."""


class Goal(NamedTuple):
    """Below what times are to stay, in ms."""

    p95: float
    longest: float

    def times(self, factor: float) -> "Goal":
        """Return the goal of a machine that is slower by a factor."""
        return Goal(self.p95 * factor, self.longest * factor)


def counted(what: str, found: Iterable[int], *, most: int = 0) -> Row:
    """Return a line of counts, each of which is to be at most so high."""
    counts = list(found)
    goal = ", ".join([str(most)] * len(counts))
    return Row(what, goal, ", ".join(map(str, counts)), max(counts) <= most)


def timed(what: str, values: Sequence[float], goal: Goal | None = None) -> Row:
    """Return a line of times in ms."""
    what = f"{what}: p50, p95, max"
    if not values:
        return Row(what, "" if goal is None else _text(goal), "none")
    if goal is None:
        return Row(what, "", percentiles(values))
    met = bool(np.percentile(values, 95) <= goal.p95 and max(values) <= goal.longest)
    return Row(what, _text(goal), percentiles(values), met, decides=False)


def percentiles(values: Sequence[float]) -> str:
    """Return half, 95 % and all of some times in ms."""
    return ", ".join(f"{np.percentile(values, each):.0f}" for each in (50, 95, 100))


def rendered(rows: Iterable[Row]) -> str:
    """Return the lines as Markdown."""
    words = {True: "met", False: "**missed**", None: ""}
    lines = [f"| {one.what} | {one.goal} | {one.found} | {words[one.met]} |" for one in rows]
    return "\n".join(["| what | goal | found | |", "|---|---|---|---|", *lines])


def _text(goal: Goal) -> str:
    if goal.p95 == goal.longest:
        return f"{goal.longest:.0f}"
    return f"p95 {goal.p95:.0f}, max {goal.longest:.0f}"
