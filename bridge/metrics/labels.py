"""Metrics with closed label sets: any other value is counted as `OTHER`."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

OTHER: Final = "other"

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


def closed(word: str, allowed: tuple[str, ...]) -> str:
    """Return `word` if it is allowed, else `OTHER`."""
    return word if word in allowed else OTHER


class Families:
    """Creates metrics in one registry, with a series for each combination of known label values.

    A label without known values has no series until it is used.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, **labels: Iterable[str]) -> Counter:
        """Create a counter."""
        return _with_series(Counter(name, text, tuple(labels), registry=self._registry), labels)

    def gauge(self, name: str, text: str, **labels: Iterable[str]) -> Gauge:
        """Create a gauge."""
        return _with_series(Gauge(name, text, tuple(labels), registry=self._registry), labels)

    def histogram(
        self, name: str, text: str, buckets: tuple[float, ...], **labels: Iterable[str]
    ) -> Histogram:
        """Create a histogram."""
        made = Histogram(name, text, tuple(labels), buckets=buckets, registry=self._registry)
        return _with_series(made, labels)


def _with_series(metric: _Metric, labels: Mapping[str, Iterable[str]]) -> _Metric:
    if labels:
        for values in product(*labels.values()):
            metric.labels(*values)
    return metric
