"""What an agent does, and what counts it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bridge.settings.line import Agent


class AgentMode(StrEnum):
    """What an agent does."""

    BOT = "bot"
    """Greets and hangs up."""
    IVR = "ivr"
    """Greets, transcribes one utterance and hangs up."""
    AI = "ai"
    """Greets and converses."""


@dataclass(frozen=True, slots=True)
class Script:
    """What an agent does and says."""

    mode: AgentMode
    greeting: str = ""
    system_prompt: str = ""
    settings: Agent = field(default_factory=Agent)


class AgentCounters(Protocol):
    """Counts what agents do; `metrics.agent.AgentMetrics` is one."""

    def step_took(self, step: str, seconds: float) -> None:
        """Observe the time to a step's first result (`stt`, `llm`, `tts`), or of all (`total`)."""

    def step_failed(self, step: str, reason: str) -> None:
        """Count a failed step."""

    def interrupted(self) -> None:
        """Count an interruption."""

    def filler_played(self) -> None:
        """Count a filler."""
