"""Reactions to a node's load: cheaper encoders first, then no new calls.

Load is measured once a second as the event loop's worst lag, the process's share of a core, and how long
the loop's thread waited for a core that others held. Each step has two thresholds (hysteresis), so that it
is not taken and undone in turn. On a busy machine timers are late however little a node has to do: what
the loop waited for a core is no overload, until it hardly gets one.
"""

from dataclasses import dataclass
from typing import Final

from bridge.audio.codec.encoder_level import EncoderLevel

OVERLOAD_LAG: Final = 0.020
"""A whole frame late: calls suffer."""
OVERLOAD_CPU: Final = 0.90

STRAIN_LAG: Final = 0.010
STRAIN_CPU: Final = 0.80
STRAIN_SECONDS: Final = 3.0
"""Above either for this long, encoders step down; after the same time again, once more."""

CALM_LAG: Final = 0.005
CALM_CPU: Final = 0.60
CALM_SECONDS: Final = 20.0
"""Below both for this long, encoders step up."""

RELIEF_SECONDS: Final = 3.0
"""Without overload for this long, new calls are taken again."""


@dataclass(slots=True)
class _Condition:
    """For how long something has been true."""

    since: float | None = None

    def lasts(self, seconds: float, now: float, *, holds: bool) -> bool:
        """Update it; return whether it has held for so long."""
        if not holds:
            self.since = None
        elif self.since is None:
            self.since = now
        return self.since is not None and now - self.since >= seconds


class LoadPolicy:
    """Decides once a second what one node's load requires."""

    def __init__(self, *, overload_seconds: float) -> None:
        """Refuse new calls after so many seconds of unbroken overload; 0: never."""
        self.level = EncoderLevel.NORMAL
        """What encoders may cost."""
        self.refusing = False
        """Whether new calls are refused."""
        self.starved = False
        """Whether they are because others leave the node too little of a core."""
        self._overload_seconds = overload_seconds
        self._strained = _Condition()
        self._calm = _Condition()
        self._overloaded = _Condition()
        self._relieved = _Condition()

    def update(self, *, lag: float, cpu: float, waited: float = 0.0, now: float) -> None:
        """Take the worst lag of a timer, and the shares of a core used and waited for, of the last second."""
        lag, demand = lag - waited, cpu + waited
        strained = lag > STRAIN_LAG or demand > STRAIN_CPU
        calm = lag < CALM_LAG and demand < CALM_CPU
        step_down = self._strained.lasts(STRAIN_SECONDS, now, holds=strained)
        step_up = self._calm.lasts(CALM_SECONDS, now, holds=calm)
        if step_down and self.level < max(EncoderLevel):
            self.level = EncoderLevel(self.level + 1)
            self._strained.since = now
        elif step_up and self.level > min(EncoderLevel):
            self.level = EncoderLevel(self.level - 1)
            self._calm.since = now
        if self._overload_seconds:
            busy = lag > OVERLOAD_LAG or cpu > OVERLOAD_CPU
            overloaded = busy or demand > OVERLOAD_CPU
            relieved = self._relieved.lasts(RELIEF_SECONDS, now, holds=not overloaded)
            if self._overloaded.lasts(self._overload_seconds, now, holds=overloaded):
                self.refusing, self.starved = True, not busy
            elif relieved:
                self.refusing = self.starved = False
