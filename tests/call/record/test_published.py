"""What is published of what the machine takes."""

import pytest

from bridge.call import events
from bridge.call.model import EndReason, LegId, Party, State
from bridge.call.record.published import published, state_events
from bridge.wire.call_event import EventType

ANN, BOB = LegId("ann"), LegId("bob")
PARTIES = {ANN: Party.NEAR}


@pytest.mark.parametrize(
    ("event", "kind", "data"),
    [
        (events.LegConnected(ANN), "leg.connected", {"legID": "ann", "party": "near"}),
        (events.LegSilent(ANN), "leg.silent", {"legID": "ann", "party": "near"}),
        (events.LegResumed(ANN), "leg.resumed", {"legID": "ann", "party": "near"}),
        (events.LegHeld(ANN), "leg.held", {"legID": "ann", "party": "near"}),
        (events.LegUnheld(ANN), "leg.unheld", {"legID": "ann", "party": "near"}),
        (
            events.DigitReceived(ANN, "7"),
            "digit.received",
            {"legID": "ann", "party": "near", "digit": "7"},
        ),
        (events.MuteRequested(muted=True), "call.muted", {"legID": None, "muted": True}),
        (
            events.MuteRequested(muted=False, leg_id=ANN),
            "call.muted",
            {"legID": "ann", "muted": False},
        ),
        (
            events.InviteRequested("cas"),
            "party.invited",
            {"identity": "cas", "channel": "webrtc"},
        ),
    ],
)
def test_an_event_has_a_public_name_and_data(event, kind, data):
    assert published(event, PARTIES) == (kind, data)


def test_a_leg_that_has_left_may_still_report():
    event = events.LegReported(BOB, EventType.STREAM_ENDED, {"streamId": "1"})
    assert published(event, PARTIES) == ("stream.ended", {"legID": "bob", "streamId": "1"})


@pytest.mark.parametrize(
    "event",
    [
        events.LegConnected(BOB),
        events.DigitReceived(BOB, "7"),
        events.MuteRequested(muted=True, leg_id=BOB),
        events.LegEnded(ANN, EndReason.HANGUP),
        events.CallUsed(),
    ],
)
def test_nothing_else_is_published(event):
    assert published(event, PARTIES) is None


@pytest.mark.parametrize(
    ("before", "after", "answered", "kinds"),
    [
        (State.INITIATED, State.RINGING, False, ["call.ringing"]),
        (State.RINGING, State.CONNECTING, True, ["call.answered", "call.connecting"]),
        (State.RINGING, State.ACTIVE, True, ["call.answered", "call.active"]),
        (State.CONNECTING, State.ACTIVE, True, ["call.active"]),
        (State.ACTIVE, State.HELD, True, ["call.held"]),
        (State.HELD, State.ACTIVE, True, ["call.resumed"]),
        (State.ACTIVE, State.ENDED, True, []),
    ],
)
def test_a_change_of_state_is_published(before, after, answered, kinds):
    assert state_events(before, after, answered=answered) == kinds
