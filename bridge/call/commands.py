"""What the machine wants done; `node.runner` performs these in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bridge.call.events import LegTransferRequested
from bridge.call.model import EndReason, LegId, State
from bridge.wire.call_event import EventType


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
class HoldLeg:
    """Say in the leg's signalling, if it can, that its party is held, or no longer."""

    leg_id: LegId
    held: bool


@dataclass(frozen=True, slots=True)
class StartPlayback:
    """Start a playback that waits for this."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class ReferLeg:
    """Ask a leg's party to call somebody else."""

    leg_id: LegId
    target: str


@dataclass(frozen=True, slots=True)
class CallInstead:
    """Call somebody in the place of a party that asked for it; ask the line's policy first."""

    request: LegTransferRequested


@dataclass(frozen=True, slots=True)
class ReportTransfer:
    """Report the progress of a transfer to the party that asked for it."""

    leg_id: LegId
    code: int
    """A SIP status code: 1xx progress, 2xx success, else failure."""


@dataclass(frozen=True, slots=True)
class Report:
    """Publish something."""

    type: EventType
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CloseAfterSpeech:
    """End a leg, or the call, once the speech that is queued has been heard."""

    leg_id: LegId | None = None
    """None means the call."""


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up every leg; the call is over."""

    reason: EndReason


Command: TypeAlias = (
    AnswerLeg
    | EndLeg
    | RouteAudio
    | SendDigits
    | ReportState
    | HoldLeg
    | StartPlayback
    | ReferLeg
    | CallInstead
    | ReportTransfer
    | Report
    | CloseAfterSpeech
    | EndCall
)
