"""Metrics as functions of their label values, which come from closed sets.

Any other value is counted as `OTHER`; a label declared without values takes any.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any, Final, Generic, TypeVar

from prometheus_client import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from bridge.metrics.series import AnySeries, Series, Text, header, written
from bridge.metrics.values import Counter, Description, Gauge, Histogram

OTHER: Final = "other"
STEP_WORK: Final = 16
"""Work done before the event loop does something else (`Text`); a series is written whole."""
STEP_TEXTS: Final = 64
"""Texts of unchanged series, likewise."""
STEP_SERIES: Final = 8
"""Series created, likewise."""

_Listed = TypeVar("_Listed", bound="_Family[Any]")


class _Family(Generic[AnySeries]):
    """One metric, with a series for each combination of values if every label is closed."""

    def __init__(
        self,
        description: Description,
        create: Callable[[], AnySeries],
        labels: dict[str, Iterable[str]],
    ) -> None:
        self.name = description.name + ("_total" if description.kind == "counter" else "")
        self._description = description
        self._new: Callable[[], AnySeries] = create
        self._names = tuple(labels)
        self._allowed = tuple(tuple(values) for values in labels.values())
        self._series: dict[tuple[str, ...], Series[AnySeries]] = {}
        self._header = ""
        if not labels:
            self._create(())

    def complete(self) -> Iterator[None]:
        """Create the series that have not been counted yet, one a step."""
        if self._names:
            for values in product(*self._allowed):
                if values not in self._series:
                    self._create(values)
                    yield

    def series(self, values: tuple[str, ...]) -> AnySeries:
        """Return the series with these label values."""
        found = self._series.get(values)
        if found is None:
            closed = tuple(
                value if not allowed or value in allowed else OTHER
                for value, allowed in zip(values, self._allowed, strict=True)
            )
            found = self._series.get(closed) or self._create(closed)
        found.used = True
        return found.series

    def texts(self) -> Iterator[Text]:
        """Yield what describes the metric, then each of its series."""
        if not self._header:
            self._header = header(self._description.metric())
        yield 0, self._header
        for series in tuple(self._series.values()):
            yield series.text()

    def former_texts(self, former: str) -> Iterator[Text]:
        """Yield the same under a former name."""
        kind = self._description.kind
        yield 0, f"# HELP {former} Deprecated: use {self.name}.\n# TYPE {former} {kind}\n"
        for series in tuple(self._series.values()):
            work, text = series.text()
            yield work, text.replace(self.name, former)

    def collect(self) -> Iterable[Metric]:
        """Return the metric with its series."""
        metric = self._description.metric()
        for series in self._series.values():
            series.series.add_samples(metric, series.labels)
        return (metric,)

    def _create(self, values: tuple[str, ...]) -> Series[AnySeries]:
        labels = dict(zip(self._names, map(str, values), strict=True))
        made = self._series[values] = Series(self._new(), labels)
        return made


class Count(_Family[Counter]):
    """A counter."""

    def __call__(self, *labels: str, amount: float = 1) -> None:
        """Add an amount."""
        if amount:
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


class Families(Collector):
    """Creates metrics, and writes them as Prometheus reads them."""

    def __init__(self, renamed: Mapping[str, str] | None = None) -> None:
        """Create them; their hundreds of series wait for the first scrape, which has all of them.

        Those in `renamed` are written, though not collected, under the former name too that they have there.
        """
        self._renamed = renamed or {}
        self._listed: list[_Family[Any] | Collector] = []
        self._incomplete: list[Callable[[], Iterator[object]]] = []
        """Each creates series that wait for the first scrape, some a step."""

    @override
    def collect(self) -> Iterator[Metric]:
        for _ in self._complete():
            pass
        for listed in self._listed:
            yield from listed.collect()

    def slices(self) -> Iterator[str]:
        """Yield the text of all metrics, a few samples at a time.

        Each series is as it is when it is written; together the texts are what `generate_latest` returns.
        """
        for created, _ in enumerate(self._complete(), 1):
            if created % STEP_SERIES == 0:
                yield ""
        texts: list[str] = []
        work = 0
        for took, text in self._texts():
            texts.append(text)
            work += took
            if work >= STEP_WORK or len(texts) >= STEP_TEXTS:
                yield "".join(texts)
                texts, work = [], 0
        yield "".join(texts)

    def include(self, collector: Collector) -> None:
        """Write what this collector collects, too."""
        self._listed.append(collector)

    def complete_at_scrape(self, complete: Callable[[], Iterator[object]]) -> None:
        """Have it create its series at the first scrape, some a step, as the metrics themselves."""
        self._incomplete.append(complete)

    def counter(self, name: str, text: str, **labels: Iterable[str]) -> Count:
        """Create a counter."""
        described = Description(name.removesuffix("_total"), text, "counter")
        return self._list(Count(described, partial(Counter, described), labels))

    def gauge(self, name: str, text: str, **labels: Iterable[str]) -> Level:
        """Create a gauge."""
        described = Description(name, text, "gauge")
        return self._list(Level(described, partial(Gauge, described), labels))

    def histogram(
        self, name: str, text: str, buckets: tuple[float, ...], **labels: Iterable[str]
    ) -> Distribution:
        """Create a histogram."""
        described = Description(name, text, "histogram")
        return self._list(Distribution(described, partial(Histogram, described, buckets), labels))

    def _list(self, family: _Listed) -> _Listed:
        self._listed.append(family)
        self._incomplete.append(family.complete)
        return family

    def _complete(self) -> Iterator[object]:
        while self._incomplete:
            # It stays listed until all are created: two scrapes may be at it.
            complete = self._incomplete[-1]
            yield from complete()
            if complete in self._incomplete:
                self._incomplete.remove(complete)

    def _texts(self) -> Iterator[Text]:
        for listed in tuple(self._listed):
            if isinstance(listed, _Family):
                yield from listed.texts()
                if former := self._renamed.get(listed.name):
                    yield from listed.former_texts(former)
            else:
                for found in listed.collect():
                    yield from written(found)
