"""What the machine wants done; `node.runner` performs these in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bridge.call.model import EndReason, LegId, State


@dataclass(frozen=True, slots=True)
class AnswerLeg:
    """Accept the inbound call."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class EndLeg:
    """Hang up one leg and remove it."""

    leg_id: LegId
    reason: EndReason


@dataclass(frozen=True, slots=True)
class RouteAudio:
    """Replace the routing table: which sources each sink hears."""

    rows: Mapping[LegId, frozenset[LegId]]


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Send DTMF to a leg's party."""

    leg_id: LegId
    digits: str


@dataclass(frozen=True, slots=True)
class ReportState:
    """The call's state has changed."""

    state: State


@dataclass(frozen=True, slots=True)
class ReportMissed:
    """An invited party has not joined in time."""

    identity: str


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up every leg; the call is over."""

    reason: EndReason


Command: TypeAlias = (
    AnswerLeg | EndLeg | RouteAudio | SendDigits | ReportState | ReportMissed | EndCall
)
