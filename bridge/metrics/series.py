"""One series of a metric and its text, and the texts of other collectors.

The library writes each line once; from then on only the value behind it is written anew, and nothing
at all for a series that has never been counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from prometheus_client import Metric, generate_latest
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from bridge.metrics.values import Counter, Gauge, Histogram

FIRST_WORK: Final = 3
"""Times as long as later ones the library takes to write a sample."""
SAMPLES_AT_ONCE: Final = 8
"""Of a metric that is no series of ours."""

Text: TypeAlias = tuple[int, str]
"""Lines, and the work it took to write them: 1 a sample, `FIRST_WORK` where the library wrote it."""

AnySeries = TypeVar("AnySeries", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True)
class _Collected:
    """A collector of metrics that have been collected."""

    metrics: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class Series(Generic[AnySeries]):
    """A series, for a histogram with its buckets, sum and count."""

    __slots__ = ("_starts", "_text", "labels", "series", "used")

    def __init__(self, series: AnySeries, labels: dict[str, str]) -> None:
        """Begin with nothing counted; `series` has these labels."""
        self.series: AnySeries = series
        self.used = False
        """Whether its value may have changed."""
        self.labels = labels
        self._starts: tuple[str, ...] = ()
        """Of its lines: everything but the values."""
        self._text = ""
        """While it has not been used."""

    def text(self) -> Text:
        """Return its lines, and what it took to write them."""
        if self._text and not self.used:
            return 0, self._text
        if self._starts:
            values = map(floatToGoString, self.series.values())
            lines = [
                f"{start} {value}\n" for start, value in zip(self._starts, values, strict=True)
            ]
            return len(lines), "".join(lines)
        found = self.series.description.metric()
        self.series.add_samples(found, self.labels)
        text = _without_header(_write(found, found.samples))
        if self.used:
            self._starts = tuple(line.rpartition(" ")[0] for line in text.splitlines())
            self._text = ""
        else:
            self._text = text
        return FIRST_WORK * len(found.samples), text


def header(metric: Metric) -> str:
    """Return the lines that describe a metric."""
    return _write(metric, [])


def written(collected: Metric) -> Iterator[Text]:
    """Yield the text of a metric of any collector, a few samples at a time."""
    samples = collected.samples
    yield FIRST_WORK, header(collected)
    for start in range(0, len(samples), SAMPLES_AT_ONCE):
        part = samples[start : start + SAMPLES_AT_ONCE]
        yield FIRST_WORK * len(part), _without_header(_write(collected, part))


def _write(metric: Metric, samples: Sequence[Sample]) -> str:
    """Return what describes a metric, and these samples of it."""
    part = Metric(metric.name, metric.documentation, metric.type)
    part.samples = list(samples)
    return generate_latest(_Collected((part,))).decode()


def _without_header(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))
