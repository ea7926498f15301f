"""Counters, gauges and histograms without locks: each series is counted by one thread.

Those of prometheus_client take a lock for each value, and a histogram compares it with one bound after
another. The series of legs are counted some forty times a second for each leg.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from prometheus_client import Metric
from prometheus_client.utils import floatToGoString


@dataclass(frozen=True, slots=True)
class Description:
    """What a metric is."""

    name: str
    """Without the suffix of its samples."""
    text: str
    kind: Literal["counter", "gauge", "histogram"]

    def metric(self) -> Metric:
        """Return the metric, without samples."""
        return Metric(self.name, self.text, self.kind)


class Counter:
    """One series of a counter."""

    __slots__ = ("description", "value")

    def __init__(self, description: Description) -> None:
        """Begin with 0."""
        self.description = description
        self.value = 0.0
        """What it has counted; it may only grow."""

    def inc(self, amount: float = 1) -> None:
        """Add an amount.

        Raises:
            ValueError: it is negative.
        """
        if amount < 0:
            raise ValueError(f"{self.description.name} was to shrink by {-amount}")
        self.value += amount

    def values(self) -> list[float]:
        """Return the values of its samples."""
        return [self.value]

    def add_samples(self, metric: Metric, labels: dict[str, str]) -> None:
        """Add the series to a metric, with its labels."""
        metric.add_sample(f"{self.description.name}_total", labels, self.value)


class Gauge:
    """One series of a gauge."""

    __slots__ = ("description", "value")

    def __init__(self, description: Description) -> None:
        """Begin with 0."""
        self.description = description
        self.value = 0.0

    def set(self, value: float) -> None:
        """Set the value."""
        self.value = float(value)

    def inc(self, amount: float = 1) -> None:
        """Add an amount, which may be negative."""
        self.value += amount

    def values(self) -> list[float]:
        """Return the values of its samples."""
        return [self.value]

    def add_samples(self, metric: Metric, labels: dict[str, str]) -> None:
        """Add the series to a metric, with its labels."""
        metric.add_sample(self.description.name, labels, self.value)


class Histogram:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_sum", "description")

    def __init__(self, description: Description, bounds: tuple[float, ...]) -> None:
        """Begin with nothing observed; `bounds` are the finite upper ones of its buckets, ascending."""
        self.description = description
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        """By bucket alone, not with those below it."""
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Observe a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def values(self) -> list[float]:
        """Return the values of its samples: of its buckets, the count, and the sum unless it may shrink."""
        values = [float(count) for count in accumulate(self._counts)]
        values.append(values[-1])
        if self._bounds[0] >= 0:
            values.append(self._sum)
        return values

    def add_samples(self, metric: Metric, labels: dict[str, str]) -> None:
        """Add the series to a metric, with its labels."""
        name, values = self.description.name, self.values()
        for bound, value in zip((*self._bounds, math.inf), values, strict=False):
            le = floatToGoString(bound)  # type: ignore[no-untyped-call]
            metric.add_sample(f"{name}_bucket", {**labels, "le": le}, value)
        for suffix, value in zip(("count", "sum"), values[len(self._counts) :], strict=False):
            metric.add_sample(f"{name}_{suffix}", labels, value)


def observe_each(histograms: Sequence[Histogram | None], values: Sequence[float | None]) -> None:
    """Observe each value in the histogram at its place; nothing where either is None."""
    for histogram, value in zip(histograms, values, strict=True):
        if value is not None and histogram is not None:  # inlines `observe`
            histogram._counts[bisect_left(histogram._bounds, value)] += 1
            histogram._sum += value
