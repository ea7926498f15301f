"""The text of a scrape, made in small parts."""

import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily

from bridge.call.model import LegKind
from bridge.call.record.timeline import Sample
from bridge.metrics.families import STEP_WORK
from bridge.metrics.registry import Metrics
from tests.support.metric_families import families_in


@pytest.fixture
def registry():
    disable_created_metrics()
    return CollectorRegistry()


@pytest.fixture
def create(registry):
    return families_in(registry)


def text(create):
    return "".join(create.slices()).encode()


def test_every_value_is_written_as_the_library_writes_it(registry, create):
    total = create.counter("one_total", 'Of "things"\\here.', kind=("a", 'b"\\\n'))
    level = create.gauge("two", "Two.")
    seconds = create.histogram("three", "Three.", (0.1, 2, 1e7), zone=("x", "y"), after=())
    create.gauge("four", "Nothing has a series.", kind=())
    for round_ in range(3):
        level(float("nan") if round_ == 2 else -1.5e-9)
        seconds(0.1 * round_, "y", "any")
        assert text(create) == generate_latest(registry)
        total('b"\\\n', amount=1e16)
        assert text(create) == generate_latest(registry)


def test_a_series_that_begins_between_two_scrapes_is_in_the_second(registry, create):
    requests = create.counter("one_total", "One.", route=())
    requests("/a")
    assert b"/b" not in text(create)
    requests("/b")
    assert b'one_total{route="/b"} 1.0' in text(create)
    assert text(create) == generate_latest(registry)


def test_a_collector_that_is_included_is_written_too(registry, create):
    class Collector:
        def collect(self):
            found = GaugeMetricFamily("levels", "Levels.", labels=["n"])
            for number in range(50):
                found.add_metric([str(number)], number)
            yield found

    create.gauge("before", "Before.")(1)
    made = Collector()
    create.include(made)
    create.gauge("after", "After.")(1)
    assert text(create) == generate_latest(registry)


def test_two_scrapes_at_once_are_both_whole(registry, create):
    for name in ("one_total", "two_total"):
        create.counter(name, "It.", kind=[str(number) for number in range(50)])
    first, second = create.slices(), create.slices()
    texts = ["", ""]
    for _ in range(1000):
        texts[0] += next(first, "")
        texts[1] += next(second, "")
    expected = generate_latest(registry).decode()
    assert texts == [expected, expected]


def test_the_metrics_of_a_node_are_those_of_its_registry():
    metrics = Metrics(version="1.2.3")
    for kind in LegKind:
        metrics.media.observe_quality(kind, Sample(*[0.1] * len(Sample._fields)))
    metrics.steps.took("scrape", 0.1)

    def constant(body):
        return [line for line in body.splitlines() if not line.startswith(b"process_")]

    for _ in range(2):
        body = metrics.render()
        assert constant(body) == constant(generate_latest(metrics._families))


def test_no_part_of_a_scrape_has_more_lines_than_a_few_series(registry):
    metrics = Metrics(version="0")
    for kind in LegKind:
        metrics.media.observe_quality(kind, Sample(*[0.1] * len(Sample._fields)))
    list(metrics.slices())  # the text of unchanged series is known from then on
    parts = [part for part in metrics.slices() if "_bucket" in part and "bridge_mos" in part]
    longest = max(sum(line[0] != "#" for line in part.splitlines()) for part in parts)
    assert longest < 3 * STEP_WORK
