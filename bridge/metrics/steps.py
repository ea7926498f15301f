"""How long single steps of the event loop run.

Measured are the steps whose work may grow with the number of calls. A datagram is handled in a step of its
own and is not: what all steps together delay is `bridge_event_loop_lag_seconds`.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override

STEPS: Final = ("clock", "sample", "report", "scrape", "list", "garbage")
"""`clock`: the ticks of calls that share a phase of the 20 ms clock; `sample`: figures of calls, taken once a
second; `report`: RTCP reports and checks for silence; `scrape`: a part of the metrics; `list`: live calls described for
lists and consoles; `garbage`: a run of the garbage collector."""

_SECONDS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
_BOUNDS: Final = (*(floatToGoString(bound) for bound in _SECONDS), "+Inf")  # type: ignore[no-untyped-call]


@dataclass(slots=True)
class _Step:
    seconds: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))


class StepMetrics(Collector):
    """Step metrics of one node; an observation costs half of what a histogram of the library does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = {step: _Step() for step in STEPS}
        registry.register(self)

    def took(self, step: str, seconds: float) -> None:
        """Observe how long a step (`STEPS`) has run."""
        observed = self._steps[step]
        observed.seconds += seconds
        observed.counts[bisect_left(_SECONDS, seconds)] += 1

    @override
    def collect(self) -> Iterator[Metric]:
        found = HistogramMetricFamily(
            "bridge_event_loop_step_seconds",
            "How long steps of the event loop run that work for several calls; packets are not measured.",
            labels=["step"],
        )
        for name, step in self._steps.items():
            buckets = list(zip(_BOUNDS, map(float, accumulate(step.counts)), strict=True))
            found.add_metric([name], buckets, step.seconds)
        yield found
