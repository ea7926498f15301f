"""What an agent does and says."""

from dataclasses import dataclass, field
from enum import StrEnum

from bridge.settings.agent import Agent


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
    delay: float = 0.0
    """Seconds in which it neither speaks nor listens: somebody else announces something."""
