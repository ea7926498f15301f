"""What an agent is told before it talks, and who counts what it does."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bridge.agent.turns import TurnLimits


class AgentMode(StrEnum):
    """What an agent does."""

    BOT = "bot"
    """Greets and hangs up."""
    IVR = "ivr"
    """Greets, makes text of one utterance, and hangs up."""
    AI = "ai"
    """Greets and talks."""


@dataclass(frozen=True, slots=True)
class TalkSettings:
    """How agents of a line talk, whatever about."""

    fallback: str = "I am sorry, something went wrong. Please say that again."
    nudge: str = "Are you still there?"
    nudges: int = 1
    """How often a silent caller is asked before the agent leaves."""
    goodbye: str = "Goodbye."
    filler: str = "One moment, please."
    """Said while a reply takes long; empty: a soft tone."""
    filler_seconds: float = 2.5
    """So long a reply may take until then, and until a tone each time after; 0 = for ever."""
    most_seconds: float = 1800.0
    turns: TurnLimits = field(default_factory=TurnLimits)


@dataclass(frozen=True, slots=True)
class Script:
    """What an agent is told."""

    mode: AgentMode
    greeting: str = ""
    system_prompt: str = ""
    manners: TalkSettings = field(default_factory=TalkSettings)


class AgentCounters(Protocol):
    """Counts what agents do; `metrics.agent.AgentMetrics` is one."""

    def step_took(self, step: str, seconds: float) -> None:
        """A step gave its first: text (`stt`), sentence (`llm`), sound (`tts`); `total` = all."""
        ...

    def step_failed(self, step: str, reason: str) -> None:
        """A provider did not do its step."""
        ...

    def interrupted(self) -> None:
        """A caller spoke while an agent did."""
        ...

    def filler_played(self) -> None:
        """A reply took so long that a filler was played."""
        ...
