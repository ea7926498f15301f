"""What a check of the diagnosis looks at, and what it finds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bridge.call.diagnosis.history import LegHistory
from bridge.call.diagnosis.observation import CallObservation, ClientHints, LegObservation
from bridge.call.diagnosis.problems import Code, Severity
from bridge.call.model import LegId, LegKind, Party

_NO_HINTS: Final = ClientHints()


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that a check found to hold now, or one that was reported: a refused dial, a failed recording."""

    code: Code
    leg_id: LegId | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)
    severity: Severity | None = None
    """None for the one of the code's rule."""
    fix: str = ""
    """In place of the text of the code's rule."""


# Not frozen, as `LegObservation`.
@dataclass(slots=True)
class Watched:
    """A leg and what it has done."""

    now: LegObservation
    history: LegHistory

    @property
    def is_near(self) -> bool:
        """Whether it is on this side of the call."""
        return self.now.party is not Party.FAR

    @property
    def hints(self) -> ClientHints:
        """What its client reports."""
        return self.now.hints or _NO_HINTS

    def finding(
        self,
        code: Code,
        evidence: Mapping[str, object] | None = None,
        severity: Severity | None = None,
        fix: str = "",
    ) -> Finding:
        """Return a finding about this leg."""
        return Finding(code, self.now.leg_id, evidence or {}, severity, fix)


@dataclass(slots=True)
class Context:
    """The call of a leg that is checked."""

    call: CallObservation
    legs: list[Watched]
    now: float
    """Monotonic seconds."""
    ran_late: bool = False
    """Whether the bridge itself has run late within the seconds that the figures of bots are about."""

    def others(self, leg: Watched) -> list[Watched]:
        """Return the other legs."""
        return [other for other in self.legs if other is not leg]

    def listens(self, leg: Watched) -> bool:
        """Whether a near party may be here to listen: somebody else on this side is heard."""
        return leg.is_near and any(
            other.is_near
            and other.now.kind is not LegKind.PLAYBACK
            and other.history.last_frame_at is not None
            for other in self.others(leg)
        )


Check: TypeAlias = Callable[[Watched, Context], Finding | None]
"""Finds whether one condition holds for a leg."""
