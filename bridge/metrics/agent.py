"""Metrics of voice agents: how long their providers take, and how they fail."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from bridge.metrics.labels import OTHER, closed

STEPS: Final = ("stt", "llm", "tts", "total", OTHER)
"""What is heard made text, text made a reply, a reply made sound; `total` = until it is heard."""
FAILURES: Final = (
    "missing",
    "blocked",
    "unreachable",
    "timeout",
    "status",
    "garbage",
    "too_large",
    OTHER,
)
_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 30)


class AgentMetrics:
    """What one node counts of its agents."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "bridge_agent_step_seconds",
            "How long a step took until its first result.",
            ["step"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "bridge_agent_failures_total",
            "Steps that a provider did not do.",
            ["step", "reason"],
            registry=registry,
        )
        self._interruptions = Counter(
            "bridge_agent_interruptions_total",
            "Callers who spoke while an agent did.",
            registry=registry,
        )
        self._fillers = Counter(
            "bridge_agent_fillers_total",
            "Replies that took so long that a filler was played.",
            registry=registry,
        )
        for step in STEPS:
            self._seconds.labels(step)
        for step in STEPS[:3]:
            for reason in FAILURES:
                self._failures.labels(step, reason)

    def step_took(self, step: str, seconds: float) -> None:
        """Take how long a step took (`STEPS`)."""
        self._seconds.labels(closed(step, STEPS)).observe(seconds)

    def step_failed(self, step: str, reason: str) -> None:
        """Count a step that failed (`STEPS`, `FAILURES`)."""
        self._failures.labels(closed(step, STEPS), closed(reason, FAILURES)).inc()

    def interrupted(self) -> None:
        """Count a caller who spoke while an agent did."""
        self._interruptions.inc()

    def filled(self) -> None:
        """Count a filler."""
        self._fillers.inc()
