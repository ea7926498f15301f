"""Series without locks, whose text is that of prometheus_client's."""

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from bridge.metrics.values import observe_each
from tests.support.metric_families import families_in

BOUNDS = (-6, 0, 0.1, 2)
VALUES = (-6.5, -6, 0, 1e-9, 0.1, 0.1000001, 2, 1e12)


@pytest.fixture
def ours():
    return CollectorRegistry()


@pytest.fixture
def theirs():
    disable_created_metrics()
    return CollectorRegistry()


def counter(registry, *names):
    return families_in(registry).counter(
        "one_total", 'Of "things"\\here.', **dict.fromkeys(names, ())
    )


def gauge(registry, *names):
    return families_in(registry).gauge("one", "One.", **dict.fromkeys(names, ()))


def histogram(registry, bounds, *names):
    return families_in(registry).histogram("one", "One.", bounds, **dict.fromkeys(names, ()))


@pytest.mark.parametrize("amounts", [(), (1,), (0.5, 2, 1e17)])
def test_a_counter_is_written_as_the_library_writes_its_own(ours, theirs, amounts):
    mine = counter(ours).series(())
    other = prometheus_client.Counter("one_total", 'Of "things"\\here.', registry=theirs)
    for amount in amounts:
        mine.inc(amount)
        other.inc(amount)
    assert generate_latest(ours) == generate_latest(theirs)


def test_the_series_of_a_counter_have_their_labels(ours, theirs):
    mine = counter(ours, "kind", "reason")
    text = 'Of "things"\\here.'
    other = prometheus_client.Counter("one_total", text, ("kind", "reason"), registry=theirs)
    assert generate_latest(ours) == generate_latest(theirs)
    for labels in (("b", 'x"\\\n'), ("a", ""), ("b", 'x"\\\n')):
        mine.series(labels).inc()
        other.labels(*labels).inc()
    assert generate_latest(ours) == generate_latest(theirs)


@pytest.mark.parametrize("value", [0, -1.5e-9, 7, float("inf"), float("nan")])
def test_a_gauge_is_written_as_the_library_writes_its_own(ours, theirs, value):
    mine = gauge(ours).series(())
    other = prometheus_client.Gauge("one", "One.", registry=theirs)
    for one in (mine, other):
        one.set(value)
        one.inc(-3)
    assert generate_latest(ours) == generate_latest(theirs)


def test_the_series_of_a_gauge_have_their_labels(ours, theirs):
    mine = gauge(ours, "kind")
    other = prometheus_client.Gauge("one", "One.", ("kind",), registry=theirs)
    for b, a in ((mine.series(("b",)), mine.series(("a",))), map(other.labels, "ba")):
        b.set(2)
        a.inc()
    assert generate_latest(ours) == generate_latest(theirs)


@pytest.mark.parametrize("bounds", [BOUNDS, BOUNDS[1:], (0.5,)])
def test_a_histogram_is_written_as_the_library_writes_its_own(ours, theirs, bounds):
    mine = histogram(ours, bounds).series(())
    other = prometheus_client.Histogram("one", "One.", buckets=bounds, registry=theirs)
    assert generate_latest(ours) == generate_latest(theirs)
    for value in VALUES:
        mine.observe(value)
        other.observe(value)
        assert generate_latest(ours) == generate_latest(theirs)


def test_values_are_observed_each_in_its_histogram(ours, theirs):
    mine = histogram(ours, (1, 2), "kind")
    other = prometheus_client.Histogram("one", "One.", ("kind",), buckets=(1, 2), registry=theirs)
    observe_each(
        [mine.series(("a",)), None, mine.series(("b",)), mine.series(("c",))], [1, 7, None, 0.5]
    )
    other.labels("a").observe(1)
    other.labels("b")
    other.labels("c").observe(0.5)
    assert generate_latest(ours) == generate_latest(theirs)


def test_the_series_of_a_histogram_have_their_labels(ours, theirs):
    mine = histogram(ours, (1, 2), "kind")
    other = prometheus_client.Histogram("one", "One.", ("kind",), buckets=(1, 2), registry=theirs)
    for kind, value in (("b", 1.5), ("a", 7), ("b", 0)):
        mine.series((kind,)).observe(value)
        other.labels(kind).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_counter_never_shrinks(ours):
    mine = counter(ours).series(())
    mine.inc(2)
    with pytest.raises(ValueError, match="one"):
        mine.inc(-1)
    assert ours.get_sample_value("one_total") == 2
