from prometheus_client import CollectorRegistry

from bridge.call.diagnosis.diagnosis import Problem
from bridge.call.diagnosis.problems import Code, Hop, Severity
from bridge.metrics.problems import ProblemMetrics
from tests.support.metric_families import families_in


def problem(code: Code, hop: Hop, severity: Severity) -> Problem:
    return Problem(code, hop, None, severity, 0.0, None, "", "", {})


def test_problems_are_counted_in_all_and_now() -> None:
    registry = CollectorRegistry()
    metrics = ProblemMetrics(families_in(registry))
    muted = problem(Code.MUTED, Hop.BRIDGE, Severity.NOTICE)
    metrics.raised(muted)
    metrics.raised(muted)
    metrics.cleared(muted)
    labels = {"code": "muted"}
    assert registry.get_sample_value("bridge_call_problems_total", labels) == 2.0
    assert registry.get_sample_value("bridge_call_problems", labels) == 1.0


def test_an_open_problem_is_counted_at_its_hop_under_its_severity_now() -> None:
    registry = CollectorRegistry()
    metrics = ProblemMetrics(families_in(registry))

    def at_socket(severity: Severity) -> float | None:
        labels = {"hop": "socket", "severity": severity.word}
        return registry.get_sample_value("bridge_call_hop_problems", labels)

    metrics.raised(problem(Code.SOCKET_SENDS_NOTHING, Hop.SOCKET, Severity.NOTICE))
    assert at_socket(Severity.NOTICE) == 1.0
    worse = problem(Code.SOCKET_SENDS_NOTHING, Hop.SOCKET, Severity.BROKEN)
    metrics.worsened(worse, Severity.NOTICE)
    assert (at_socket(Severity.NOTICE), at_socket(Severity.BROKEN)) == (0.0, 1.0)
    metrics.cleared(worse)
    assert at_socket(Severity.BROKEN) == 0.0
