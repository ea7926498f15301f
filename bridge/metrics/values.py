"""Counters and histograms without locks: each series is counted by one thread.

Those of prometheus_client take a lock for each value, and a histogram compares it with one bound after
another. The series of legs are counted some forty times a second for each leg.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, Literal, TypeVar

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Description:
    """What a metric is."""

    name: str
    """Without the suffix of its samples."""
    text: str
    kind: Literal["counter", "histogram"]

    def metric(self) -> Metric:
        """Return the metric, without samples."""
        return Metric(self.name, self.text, self.kind)


class Counter:
    """One series of a counter."""

    __slots__ = ("_description", "value")

    def __init__(self, description: Description) -> None:
        """Begin with 0."""
        self._description = description
        self.value = 0.0
        """What it has counted; it may only grow."""

    def inc(self, amount: float = 1) -> None:
        """Add an amount.

        Raises:
            ValueError: it is negative.
        """
        if amount < 0:
            raise ValueError(f"{self._description.name} was to shrink by {-amount}")
        self.value += amount

    def collect(self) -> Iterable[Metric]:
        """Return the series as a metric of its own, without labels."""
        metric = self._description.metric()
        self.add_samples(metric, {})
        return (metric,)

    def add_samples(self, metric: Metric, labels: dict[str, str]) -> None:
        """Add the series to a metric, with its labels."""
        metric.add_sample(f"{self._description.name}_total", labels, self.value)


class Histogram:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_description", "_sum")

    def __init__(self, description: Description, bounds: tuple[float, ...]) -> None:
        """Begin with nothing observed; `bounds` are the finite upper ones of its buckets, ascending."""
        self._description = description
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        """By bucket alone, not with those below it."""
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Observe a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterable[Metric]:
        """Return the series as a metric of its own, without labels."""
        metric = self._description.metric()
        self.add_samples(metric, {})
        return (metric,)

    def add_samples(self, metric: Metric, labels: dict[str, str]) -> None:
        """Add the series to a metric, with its labels."""
        name, count = self._description.name, 0
        for bound, count in zip((*self._bounds, math.inf), accumulate(self._counts), strict=True):
            le = floatToGoString(bound)  # type: ignore[no-untyped-call]
            metric.add_sample(f"{name}_bucket", {**labels, "le": le}, float(count))
        metric.add_sample(f"{name}_count", labels, float(count))
        if self._bounds[0] >= 0:  # else it is no counter
            metric.add_sample(f"{name}_sum", labels, self._sum)


def observe_each(histograms: Sequence[Histogram | None], values: Sequence[float | None]) -> None:
    """Observe each value in the histogram at its place; nothing where either is None."""
    for histogram, value in zip(histograms, values, strict=True):
        if value is not None and histogram is not None:  # inlines `observe`
            histogram._counts[bisect_left(histogram._bounds, value)] += 1
            histogram._sum += value


_Value = TypeVar("_Value", Counter, Histogram)


class Labelled(Collector, Generic[_Value]):
    """All series of a counter or a histogram."""

    def __init__(
        self,
        description: Description,
        names: tuple[str, ...],
        create: Callable[[], _Value],
        registry: CollectorRegistry,
    ) -> None:
        """Begin without series, which `create` returns; a metric without label `names` has its only one."""
        self._description = description
        self._names = names
        self._create: Callable[[], _Value] = create
        self._series: dict[tuple[str, ...], _Value] = {}
        registry.register(self)
        if not names:
            self.labels()

    def labels(self, *values: str) -> _Value:
        """Return the series with these label values."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = self._create()
        return found

    def describe(self) -> Iterable[Metric]:
        """Return the metric without its series."""
        return (self._description.metric(),)

    @override
    def collect(self) -> Iterable[Metric]:
        metric = self._description.metric()
        for values, series in self._series.items():
            series.add_samples(metric, dict(zip(self._names, values, strict=True)))
        return (metric,)
