from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from bridge.metrics.steps import STEPS, StepMetrics


def test_the_text_is_that_of_a_histogram_of_the_library():
    disable_created_metrics()
    registry, theirs = CollectorRegistry(), CollectorRegistry()
    steps = StepMetrics(registry)
    (described,) = steps.collect()
    same = Histogram(
        described.name,
        described.documentation,
        ["step"],
        buckets=(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
        registry=theirs,
    )
    for step in STEPS:
        same.labels(step)
    for step, seconds in (("clock", 0.0001), ("clock", 0.00011), ("sample", 0.3), ("scrape", 0.0)):
        steps.took(step, seconds)
        same.labels(step).observe(seconds)
    assert generate_latest(registry) == generate_latest(theirs)
