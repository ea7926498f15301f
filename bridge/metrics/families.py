"""Metrics as functions of their label values, which come from closed sets.

Any other value is counted as `OTHER`; a label declared without values takes any.
"""

from collections.abc import Iterable
from itertools import product
from typing import Any, Final, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

OTHER: Final = "other"

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)
_Listed = TypeVar("_Listed", bound="_Family[Any]")


class _Family(Generic[_Metric]):
    """One metric, with a series for each combination of values if every label is closed."""

    def __init__(self, metric: _Metric, labels: Iterable[Iterable[str]]) -> None:
        self._metric: _Metric = metric
        self._allowed = tuple(tuple(values) for values in labels)

    def complete(self) -> None:
        """Create the series that have not been counted yet."""
        if self._allowed:
            for values in product(*self._allowed):
                self._metric.labels(*values)

    def series(self, values: tuple[str, ...]) -> _Metric:
        """Return the series with these label values."""
        if not values:
            return self._metric
        closed = (
            value if not allowed or value in allowed else OTHER
            for value, allowed in zip(values, self._allowed, strict=True)
        )
        return self._metric.labels(*closed)


class Count(_Family[Counter]):
    """A counter."""

    def __call__(self, *labels: str, amount: float = 1) -> None:
        """Add an amount."""
        self.series(labels).inc(amount)


class Level(_Family[Gauge]):
    """A gauge."""

    def __call__(self, value: float, *labels: str) -> None:
        """Set the value."""
        self.series(labels).set(value)


class Distribution(_Family[Histogram]):
    """A histogram."""

    def __call__(self, value: float, *labels: str) -> None:
        """Observe a value."""
        self.series(labels).observe(value)


class Families:
    """Creates metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Create them; their hundreds of series wait for the first scrape, which has all of them."""
        self._registry = registry
        self._incomplete: list[_Family[Any]] = []
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Complete the metrics, before the registry collects them itself; return none of its own."""
        while self._incomplete:
            self._incomplete.pop().complete()
        return ()

    def counter(self, name: str, text: str, **labels: Iterable[str]) -> Count:
        """Create a counter."""
        metric = Counter(name, text, tuple(labels), registry=self._registry)
        return self._listed(Count(metric, labels.values()))

    def gauge(self, name: str, text: str, **labels: Iterable[str]) -> Level:
        """Create a gauge."""
        metric = Gauge(name, text, tuple(labels), registry=self._registry)
        return self._listed(Level(metric, labels.values()))

    def histogram(
        self, name: str, text: str, buckets: tuple[float, ...], **labels: Iterable[str]
    ) -> Distribution:
        """Create a histogram."""
        metric = Histogram(name, text, tuple(labels), buckets=buckets, registry=self._registry)
        return self._listed(Distribution(metric, labels.values()))

    def _listed(self, family: _Listed) -> _Listed:
        self._incomplete.append(family)
        return family
