"""Metrics of voice agents: latency and failures of their providers."""

from typing import Final

from bridge.metrics.families import OTHER, Families

STEPS: Final = ("stt", "llm", "tts", "total", OTHER)
"""Speech to text, language model, text to speech; `total`: from the end of speech to the first audio."""
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
    """Agent metrics of one node."""

    def __init__(self, create: Families) -> None:
        self._seconds = create.histogram(
            "bridge_agent_step_seconds",
            "Time of a step until its first result.",
            _SECONDS,
            step=STEPS,
        )
        self.step_failed = create.counter(
            "bridge_agent_failures_total",
            "Steps that failed at their provider.",
            step=STEPS[:3],
            reason=FAILURES,
        )
        self.opinion_failed = create.counter(
            "bridge_agent_interruption_detector_failures_total",
            "Requests to the operator's interruption detector that failed or timed out, so that the built-in one decided.",
            reason=FAILURES,
        )
        self.interrupted = create.counter(
            "bridge_agent_interruptions_total", "Agent replies interrupted by the caller."
        )
        self.filler_played = create.counter(
            "bridge_agent_fillers_total", "Fillers played while a reply was late."
        )

    def step_took(self, step: str, seconds: float) -> None:
        """Observe the duration of a step (`STEPS`)."""
        self._seconds(seconds, step)
