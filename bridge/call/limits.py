"""Time limits of a call, what it may not have at once, what is heard before its answer, and what is measured."""

import math
from dataclasses import dataclass, replace

from bridge.audio.tone import EUROPE, RingTone
from bridge.call.model import LegKind


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time limits in seconds."""

    ring_seconds: float
    call_seconds: float
    abandoned_seconds: float
    talk_seconds: float = math.inf
    """From the answer on; `call_seconds` is from the beginning on."""
    exclusive: bool = False
    """Whether a call is recorded or streamed, never both."""
    rings_back: frozenset[LegKind] = frozenset()
    """Kinds of far party that near persons hear a ring-back tone for while it rings."""
    ring_tone: RingTone = EUROPE
    turns: bool = True
    """Whether what the caller waits for bots is measured."""

    def tightened(self, *, ring_seconds: float, talk_seconds: float) -> "CallLimits":
        """Return the limits of a call that asks for tighter ones; 0 asks for none."""
        return replace(
            self,
            ring_seconds=min(self.ring_seconds, ring_seconds or math.inf),
            talk_seconds=min(self.talk_seconds, talk_seconds or math.inf),
        )
