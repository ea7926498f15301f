"""How long a call may take over things, and what it may not have at once."""

import math
from dataclasses import dataclass, replace
from typing import Final

from bridge.call.model import LegKind

CLASHING: Final = {
    LegKind.RECORDER: (LegKind.SOCKET, LegKind.STREAM),
    LegKind.SOCKET: (LegKind.RECORDER,),
    LegKind.STREAM: (LegKind.RECORDER,),
}
"""Kinds that a call has one or the other of, where `CallLimits.exclusive` is set."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long things may take, in seconds."""

    ring_seconds: float
    call_seconds: float
    alone_seconds: float
    talk_seconds: float = math.inf
    """From the answer on; `call_seconds` is from the beginning on."""
    exclusive: bool = False
    """Whether a call is recorded or streamed, never both."""

    def tightened(self, *, ring_seconds: float, talk_seconds: float) -> "CallLimits":
        """Give these limits for a call that wants tighter ones; 0 wants none."""
        return replace(
            self,
            ring_seconds=min(self.ring_seconds, ring_seconds or math.inf),
            talk_seconds=min(self.talk_seconds, talk_seconds or math.inf),
        )

    def clashing(self, kind: LegKind) -> tuple[LegKind, ...]:
        """Give the kinds of legs beside which a call may not have one of this kind."""
        return CLASHING.get(kind, ()) if self.exclusive else ()
