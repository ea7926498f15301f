"""An agent as data, for another process of this machine that goes on with it."""

from collections.abc import Iterable
from typing import Self

import msgspec

from bridge.agent.providers import Message
from bridge.agent.script import AgentMode
from bridge.agent.speech_queue import SpeechQueue
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import ReplyTiming
from bridge.wire.snapshot_fields import copied


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
    begins_at: float = 0.0
    """Until when it neither speaks nor listens, on the same clock."""
    begun: bool = True
    """Whether it has been started; else nothing has happened yet."""

    @classmethod
    def of(
        cls,
        agent: object,
        said: tuple[Iterable[Message], Iterable[ReplyTiming]],
        *,
        mode: AgentMode,
        speech: SpeechQueue,
        counter: FrameCounter,
    ) -> Self:
        """Return the snapshot of an agent with its history and the timing of its replies, which says `speech`."""
        history, replies = said
        return copied(
            cls,
            agent,
            mode=mode,
            history=tuple(history),
            replies=tuple(replies),
            heard=speech.heard,
            heard_seconds=round(speech.played_seconds, 2),
            interrupted=speech.speaking,
            received_frames=counter.received_frames,
            sent_frames=counter.sent_frames,
        )
