"""The table of a call's states, and why it ends from each of them; pure."""

from collections.abc import Mapping
from typing import Final

from bridge.call import events
from bridge.call.model import Direction, EndReason, State

TRANSITIONS: Final[Mapping[State, Mapping[type[events.Event], State]]] = {
    State.INITIATED: {
        events.LegRinging: State.RINGING,
        events.LegAnswered: State.CONNECTING,
    },
    State.RINGING: {
        events.LegAnswered: State.CONNECTING,
        events.AnswerRequested: State.CONNECTING,
    },
    State.CONNECTING: {events.LegConnected: State.ACTIVE},
}
"""What the far party that a call began with, and answers of ours, move a state to."""

UNANSWERED: Final = frozenset({State.INITIATED, State.RINGING})
AUDIBLE: Final = frozenset({State.ACTIVE, State.HELD})
"""States in which audio is sent; before them not even silence is."""


def next_state(state: State, event: events.Event) -> State | None:
    """Return the state that an event moves a call to; None when it stays."""
    return TRANSITIONS.get(state, {}).get(type(event))


def hangup_reason(wanted: EndReason, direction: Direction, state: State) -> EndReason:
    """Return why a call ends that our side hangs up: before the answer it is rejected, or canceled."""
    if wanted is not EndReason.HANGUP or state not in UNANSWERED:
        return wanted
    return EndReason.REJECTED if direction is Direction.INBOUND else EndReason.CANCELED


def far_reason(reason: EndReason, direction: Direction, state: State) -> EndReason:
    """Return why a call ends that its far party has left: a caller who gives up has canceled it."""
    gave_up = direction is Direction.INBOUND and state in UNANSWERED
    return EndReason.CANCELED if gave_up and reason is EndReason.REMOTE_HANGUP else reason
