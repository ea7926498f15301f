"""Metrics of what is wrong with calls."""

from typing import Final

from bridge.call.diagnosis.diagnosis import Problem
from bridge.call.diagnosis.problems import Code, Hop, Severity
from bridge.metrics.families import Families

CODES: Final = tuple(code.value for code in Code)


class ProblemMetrics:
    """Problem metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._raised = create.counter(
            "bridge_call_problems_total", "Problems of calls that were raised.", code=CODES
        )
        self._open = create.gauge(
            "bridge_call_problems", "Problems that live calls have now.", code=CODES
        )
        self._at_hops = create.gauge(
            "bridge_call_hop_problems",
            "Problems that live calls have now, by the hop where they are.",
            hop=Hop,
            severity=[severity.word for severity in Severity],
        )

    def raised(self, problem: Problem) -> None:
        """Count a problem that begins."""
        self._raised(problem.code)
        self.count_open(problem, 1)

    def worsened(self, problem: Problem, before: Severity) -> None:
        """Count an open problem under its new severity."""
        self._at_hops.series((problem.hop, before.word)).inc(-1)
        self._at_hops.series((problem.hop, problem.severity.word)).inc()

    def cleared(self, problem: Problem) -> None:
        """Count a problem that ends."""
        self.count_open(problem, -1)

    def count_open(self, problem: Problem, change: int) -> None:
        """Count an open problem that begins (1) or ends (-1), or comes with its call from another process, or goes."""
        self._open.series((problem.code,)).inc(change)
        self._at_hops.series((problem.hop, problem.severity.word)).inc(change)
