"""An agent as data, for another process of this machine that goes on with it."""

import msgspec

from bridge.agent.providers import Message
from bridge.agent.script import AgentMode
from bridge.call.model import ReplyTiming


class AgentSnapshot(msgspec.Struct, frozen=True):
    """An agent (`legs.agent.AgentLeg`)."""

    mode: AgentMode
    history: tuple[Message, ...]
    replies: tuple[ReplyTiming, ...]
    untranscribed: bytes
    no_input_prompts: int
    failures: int
    until: float
    """When it leaves, on the monotonic clock."""
    heard: str
    """What was heard of what it was saying."""
    heard_seconds: float
    interrupted: bool
    """Whether it was saying something."""
    received_frames: int
    sent_frames: int
