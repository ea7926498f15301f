"""The states of a call, and why it ends from each."""

import pytest

from bridge.call import events
from bridge.call.model import Direction, EndReason, LegId, State
from bridge.call.transitions import far_reason, hangup_reason, next_state

FAR = LegId("far")


def test_a_call_rings_is_answered_and_is_active_once_its_media_is_up():
    state: State | None = State.INITIATED
    for event in (events.LegRinging(FAR), events.LegAnswered(FAR), events.LegConnected(FAR)):
        assert state is not None
        state = next_state(state, event)
    assert state is State.ACTIVE


def test_media_alone_answers_nothing():
    assert next_state(State.RINGING, events.LegConnected(FAR)) is None


@pytest.mark.parametrize(
    ("direction", "state", "reason"),
    [
        (Direction.INBOUND, State.RINGING, EndReason.REJECTED),
        (Direction.OUTBOUND, State.RINGING, EndReason.CANCELED),
        (Direction.OUTBOUND, State.HELD, EndReason.HANGUP),
    ],
)
def test_our_hang_up_before_the_answer_has_a_reason_of_its_own(direction, state, reason):
    assert hangup_reason(EndReason.HANGUP, direction, state) is reason
    assert hangup_reason(EndReason.DRAINED, direction, state) is EndReason.DRAINED


def test_a_caller_who_gives_up_has_canceled_the_call():
    gone = EndReason.REMOTE_HANGUP
    assert far_reason(gone, Direction.INBOUND, State.RINGING) is EndReason.CANCELED
    assert far_reason(gone, Direction.INBOUND, State.ACTIVE) is gone
