"""The settings and script of an agent, and its counters."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bridge.agent.turns import TurnLimits


class AgentMode(StrEnum):
    """What an agent does."""

    BOT = "bot"
    """Greets and hangs up."""
    IVR = "ivr"
    """Greets, transcribes one utterance and hangs up."""
    AI = "ai"
    """Greets and converses."""


@dataclass(frozen=True, slots=True)
class TalkSettings:
    """How the agents of a line talk."""

    fallback: str = "I am sorry, something went wrong. Please say that again."
    nudge: str = "Are you still there?"
    nudges: int = 1
    """How often a silent caller is nudged before the agent hangs up."""
    goodbye: str = "Goodbye."
    filler: str = "One moment, please."
    """SpokenSentence while a reply takes long; empty: a soft tone."""
    filler_seconds: float = 2.5
    """Interval of fillers while a reply is late; 0 disables them."""
    max_seconds: float = 1800.0
    turns: TurnLimits = field(default_factory=TurnLimits)


@dataclass(frozen=True, slots=True)
class Script:
    """What an agent does and says."""

    mode: AgentMode
    greeting: str = ""
    system_prompt: str = ""
    settings: TalkSettings = field(default_factory=TalkSettings)


class AgentCounters(Protocol):
    """Counts what agents do; `metrics.agent.AgentMetrics` is one."""

    def step_took(self, step: str, seconds: float) -> None:
        """Observe the time to a step's first result (`stt`, `llm`, `tts`), or of all (`total`)."""
        ...

    def step_failed(self, step: str, reason: str) -> None:
        """Count a failed step."""
        ...

    def interrupted(self) -> None:
        """Count an interruption."""
        ...

    def filler_played(self) -> None:
        """Count a filler."""
        ...
