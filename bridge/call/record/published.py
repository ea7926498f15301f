"""What is published of a call: its states, and the machine's inputs that change no state."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from bridge.call import events
from bridge.call.model import LegId, LegKind, Party, State
from bridge.call.routing import LegRole
from bridge.call.transitions import UNANSWERED
from bridge.wire.call_event import EventType

STATE_EVENTS: Final[Mapping[State, EventType]] = {
    State.RINGING: EventType.CALL_RINGING,
    State.CONNECTING: EventType.CALL_CONNECTING,
    State.ACTIVE: EventType.CALL_ACTIVE,
    State.HELD: EventType.CALL_HELD,
}
"""Published when a call enters a state; its end is published once all legs have left."""
LEG_EVENTS: Final[Mapping[type[events.Event], EventType]] = {
    events.LegConnected: EventType.LEG_CONNECTED,
    events.LegSilent: EventType.LEG_SILENT,
    events.LegResumed: EventType.LEG_RESUMED,
    events.LegHeld: EventType.LEG_HELD,
    events.LegUnheld: EventType.LEG_UNHELD,
}


def state_events(before: State, after: State, *, answered: bool) -> list[EventType]:
    """Return the types of the events to publish when a call passes from one state to another."""
    first = [EventType.CALL_ANSWERED] if answered and before in UNANSWERED else []
    if before is State.HELD and after is State.ACTIVE:
        return [*first, EventType.CALL_RESUMED]
    return [*first, STATE_EVENTS[after]] if after in STATE_EVENTS else first


class Identified(Protocol):
    """A leg."""

    @property
    def leg_id(self) -> LegId:
        """Unique within the call."""

    @property
    def kind(self) -> LegKind:
        """Which kind of leg this is."""


def describe_joined(leg: Identified, role: LegRole) -> dict[str, Any]:
    """Return the data to publish of a leg that has joined."""
    data = {"legID": leg.leg_id, "kind": leg.kind, "party": role.party}
    named = {"identity": role.owner.identity} if role.owner and role.owner.identity else {}
    return data | named


def published(
    event: events.Event, parties: Mapping[LegId, Party]
) -> tuple[EventType, dict[str, Any]] | None:
    """Return the type and data to publish of an event, if any; `parties` has the legs in the call.

    Of a leg that has left only its own reports are published.
    """
    match event:
        case events.LegReported(leg_id, kind, data):
            return kind, {"legID": leg_id, **data}
        case events.AnswererDetected(_, found):
            data = {"result": found.answerer, "at": found.at, "beepAt": found.beep_at}
            return EventType.CALL_MACHINE_DETECTED, data
        case events.InviteRequested(identity):
            return EventType.PARTY_INVITED, {"identity": identity, "channel": "webrtc"}
        case events.MuteRequested(muted, leg_id) if leg_id is None or leg_id in parties:
            return EventType.CALL_MUTED, {"legID": leg_id, "muted": muted}
        case events.HoldRequested(held, leg_id) if leg_id is not None and leg_id in parties:
            return EventType.PARTY_HELD, {"legID": leg_id, "party": parties[leg_id], "held": held}
        case events.DigitReceived(leg_id, digit) if leg_id in parties:
            data = {"legID": leg_id, "party": parties[leg_id], "digit": digit}
            return EventType.DIGIT_RECEIVED, data
    changed, leg = LEG_EVENTS.get(type(event)), getattr(event, "leg_id", LegId(""))
    if changed is None or leg not in parties:
        return None
    return changed, {"legID": leg, "party": parties[leg]}
