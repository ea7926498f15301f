"""Metrics of what is wrong with calls."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from bridge.call.diagnosis.diagnosis import Problem
from bridge.call.diagnosis.problems import Code, Hop, Severity

CODES: Final = tuple(code.value for code in Code)


class ProblemMetrics(Collector):
    """Problem metrics of one node.

    A collector of its own, since prometheus_client does not allow a gauge and a counter whose names
    differ by `_total` alone.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._raised: Counter[str] = Counter()
        self._cleared: Counter[str] = Counter()
        self._open: Counter[tuple[Hop, Severity]] = Counter()
        registry.register(self)

    def raised(self, problem: Problem) -> None:
        """Count a problem that begins."""
        self._raised[problem.code.value] += 1
        self._open[problem.hop, problem.severity] += 1

    def worsened(self, problem: Problem, before: Severity) -> None:
        """Count an open problem under its new severity."""
        self._open[problem.hop, before] -= 1
        self._open[problem.hop, problem.severity] += 1

    def cleared(self, problem: Problem) -> None:
        """Count a problem that ends."""
        self._cleared[problem.code.value] += 1
        self._open[problem.hop, problem.severity] -= 1

    @override
    def collect(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "bridge_call_problems_total", "Problems of calls that were raised.", labels=["code"]
        )
        for code in CODES:
            total.add_metric([code], self._raised[code])
        yield total
        now = GaugeMetricFamily(
            "bridge_call_problems", "Problems that live calls have now.", labels=["code"]
        )
        for code in CODES:
            now.add_metric([code], self._raised[code] - self._cleared[code])
        yield now
        at_hops = GaugeMetricFamily(
            "bridge_call_hop_problems",
            "Problems that live calls have now, by the hop where they are.",
            labels=["hop", "severity"],
        )
        for hop in Hop:
            for severity in Severity:
                at_hops.add_metric([hop.value, severity.word], self._open[hop, severity])
        yield at_hops
