"""The call's state machine, as conversations: events and the commands they bring."""

import itertools
import random

import pytest

from bridge.call import commands, events
from bridge.call.bus.last_words import MAX_SECONDS
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, EndReason, LegId, LegKind, Party, State
from bridge.call.routing import LegRole
from bridge.errors import InvalidState, LegNotFound, Unsupported

FAR = LegId("far")
ANN = LegId("ann")
BOB = LegId("bob")
LIMITS = CallLimits(ring_seconds=60, call_seconds=3600, abandoned_seconds=30)


def outbound(now: float = 0.0) -> CallMachine:
    machine = CallMachine(direction=Direction.OUTBOUND, limits=LIMITS, now=now)
    machine.handle(events.LegAdded(FAR, LegKind.SIMULATOR, LegRole(Party.FAR)), now)
    return machine


def inbound() -> CallMachine:
    machine = CallMachine(direction=Direction.INBOUND, limits=LIMITS, now=0)
    machine.handle(events.LegAdded(FAR, LegKind.SIMULATOR, LegRole(Party.FAR)), 0)
    return machine


def active() -> CallMachine:
    machine = outbound()
    machine.handle(events.LegRinging(FAR), 0)
    machine.handle(events.LegAnswered(FAR), 1)
    machine.handle(events.LegConnected(FAR), 1)
    return machine


def join(machine: CallMachine, leg: LegId, now: float = 1) -> None:
    machine.handle(events.LegAdded(leg, LegKind.WEBRTC, LegRole(Party.NEAR)), now)
    machine.handle(events.LegConnected(leg), now)


def rows(
    machine: CallMachine, event: events.Event, now: float = 2
) -> dict[LegId, frozenset[LegId]]:
    routes = [c for c in machine.handle(event, now) if isinstance(c, commands.RouteAudio)]
    return dict(routes[-1].rows)


def ended(machine: CallMachine, event: events.Event, now: float = 2) -> EndReason:
    [end] = [c for c in machine.handle(event, now) if isinstance(c, commands.EndCall)]
    assert machine.state is State.ENDED
    return end.reason


def test_a_call_may_request_to_ring_and_to_last_less_than_the_limits_allow():
    limits = LIMITS.tightened(ring_seconds=10, talk_seconds=100)
    machine = CallMachine(direction=Direction.OUTBOUND, limits=limits, now=0)
    machine.handle(events.LegAdded(FAR, LegKind.SIMULATOR, LegRole(Party.FAR)), 0)
    assert machine.deadline() == 10
    machine.handle(events.LegAnswered(FAR), 5)
    machine.handle(events.LegConnected(FAR), 5)
    assert machine.deadline() == 105
    assert ended(machine, events.TimePassed(), 105) is EndReason.HANGUP


def test_a_hang_up_after_speech_ends_an_answered_call_at_the_latest_at_its_limit():
    machine = active()
    asked = machine.handle(events.HangupRequested(after_speech=True), 5)
    assert asked == [commands.CloseAfterSpeech()]
    assert machine.handle(events.HangupRequested(after_speech=True), 9) == []
    assert machine.deadline() == 5 + MAX_SECONDS
    assert ended(machine, events.TimePassed(), 5 + MAX_SECONDS) is EndReason.HANGUP


def test_a_hang_up_at_once_does_not_wait_for_one_after_speech():
    machine = active()
    machine.handle(events.HangupRequested(after_speech=True), 5)
    assert ended(machine, events.HangupRequested(), 6) is EndReason.HANGUP


def test_a_call_that_rings_has_no_speech_to_wait_for():
    assert ended(outbound(), events.HangupRequested(after_speech=True)) is EndReason.CANCELED


def test_no_call_rings_or_lasts_longer_than_the_limits_allow():
    assert LIMITS.tightened(ring_seconds=600, talk_seconds=0) == LIMITS


def test_a_dialled_call_passes_through_its_states_in_order():
    machine = outbound()
    seen = [machine.state]
    for event in (events.LegRinging(FAR), events.LegAnswered(FAR), events.LegConnected(FAR)):
        machine.handle(event, 1)
        seen.append(machine.state)
    assert seen == [State.INITIATED, State.RINGING, State.CONNECTING, State.ACTIVE]


def test_a_far_party_whose_media_is_up_early_keeps_ringing_until_it_answers():
    machine = outbound()
    machine.handle(events.LegRinging(FAR), 0)
    machine.handle(events.LegConnected(FAR), 1)
    assert machine.state is State.RINGING
    machine.handle(events.LegAnswered(FAR), 2)
    assert machine.state is State.ACTIVE


def test_answering_an_inbound_call_answers_its_far_leg():
    machine = inbound()
    assert machine.state is State.RINGING
    assert commands.AnswerLeg(FAR) in machine.handle(events.AnswerRequested(), 1)
    machine.handle(events.LegConnected(FAR), 2)
    assert machine.state is State.ACTIVE


@pytest.mark.parametrize("machine", [outbound(), active()])
def test_there_is_nothing_to_answer_in_an_outbound_call(machine):
    with pytest.raises(InvalidState):
        machine.handle(events.AnswerRequested(), 1)


def test_an_inbound_call_is_answered_once():
    machine = inbound()
    machine.handle(events.AnswerRequested(), 1)
    with pytest.raises(InvalidState):
        machine.handle(events.AnswerRequested(), 1)


def test_a_far_party_in_a_browser_answers_by_connecting():
    machine = CallMachine(direction=Direction.OUTBOUND, limits=LIMITS, now=0, waits_for_far=True)
    assert machine.state is State.RINGING
    machine.handle(events.LegAdded(FAR, LegKind.WEBRTC, LegRole(Party.FAR)), 1)
    assert machine.state is State.RINGING
    machine.handle(events.LegConnected(FAR), 2)
    assert machine.state is State.ACTIVE


def test_a_call_has_one_far_party():
    with pytest.raises(InvalidState):
        active().handle(events.LegAdded(BOB, LegKind.WEBRTC, LegRole(Party.FAR)), 1)


def test_the_far_party_hears_nobody_before_it_has_answered():
    machine = outbound()
    table = rows(machine, events.LegAdded(ANN, LegKind.WEBRTC, LegRole(Party.NEAR)))
    assert FAR not in table
    assert table[ANN] == frozenset()


def test_everybody_hears_everybody_else_once_answered():
    machine = active()
    join(machine, ANN)
    table = rows(machine, events.LegAdded(BOB, LegKind.WEBRTC, LegRole(Party.NEAR)))
    assert table == {FAR: {ANN, BOB}, ANN: {FAR, BOB}, BOB: {FAR, ANN}}


def test_a_muted_leg_hears_but_is_not_heard_by_the_far_party():
    machine = active()
    join(machine, ANN)
    join(machine, BOB)
    table = rows(machine, events.MuteRequested(muted=True, leg_id=ANN))
    assert table == {FAR: {BOB}, ANN: {FAR, BOB}, BOB: {FAR, ANN}}
    assert rows(machine, events.MuteRequested(muted=False, leg_id=ANN))[FAR] == {ANN, BOB}


def test_a_leg_that_joins_a_muted_call_is_muted():
    machine = active()
    join(machine, ANN)
    machine.handle(events.MuteRequested(muted=True), 2)
    table = rows(machine, events.LegAdded(BOB, LegKind.WEBRTC, LegRole(Party.NEAR)))
    assert table[FAR] == frozenset()


def test_muting_a_leg_that_is_not_there_is_an_error():
    with pytest.raises(LegNotFound):
        active().handle(events.MuteRequested(muted=True, leg_id=ANN), 2)


def test_digits_of_a_near_leg_go_to_the_far_party():
    machine = active()
    join(machine, ANN)
    assert machine.handle(events.DigitReceived(ANN, "5"), 2) == [commands.SendDigits(FAR, "5")]


def test_digits_of_the_far_party_go_nowhere():
    machine = active()
    assert machine.handle(events.DigitReceived(FAR, "5"), 2) == []


def test_digits_need_an_answered_call():
    with pytest.raises(InvalidState):
        outbound().handle(events.DigitsRequested("12"), 1)
    assert active().handle(events.DigitsRequested("12"), 2) == [commands.SendDigits(FAR, "12")]


def test_digits_for_a_gateway_are_refused():
    machine = CallMachine(direction=Direction.OUTBOUND, limits=LIMITS, now=0)
    machine.handle(events.LegAdded(FAR, LegKind.GATEWAY, LegRole(Party.FAR)), 0)
    machine.handle(events.LegAnswered(FAR), 1)
    with pytest.raises(Unsupported, match="gateway"):
        machine.handle(events.DigitsRequested("12"), 2)
    assert machine.state is State.CONNECTING
    join(machine, ANN)
    assert machine.handle(events.DigitReceived(ANN, "1"), 2) == []


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (outbound(), EndReason.CANCELED),
        (inbound(), EndReason.REJECTED),
        (active(), EndReason.HANGUP),
    ],
)
def test_our_hangup_has_a_reason_for_each_state(machine, reason):
    assert ended(machine, events.HangupRequested()) is reason


@pytest.mark.parametrize(
    ("machine", "cause", "reason"),
    [
        (outbound(), EndReason.BUSY, EndReason.BUSY),
        (outbound(), EndReason.REJECTED, EndReason.REJECTED),
        (inbound(), EndReason.REMOTE_HANGUP, EndReason.CANCELED),
        (active(), EndReason.REMOTE_HANGUP, EndReason.REMOTE_HANGUP),
        (active(), EndReason.MEDIA_TIMEOUT, EndReason.MEDIA_TIMEOUT),
    ],
)
def test_the_call_ends_with_its_far_party_and_says_why(machine, cause, reason):
    assert ended(machine, events.LegEnded(FAR, cause)) is reason


def test_an_ended_call_ignores_whatever_still_happens():
    machine = active()
    machine.handle(events.HangupRequested(), 2)
    for event in (events.LegEnded(FAR, EndReason.REMOTE_HANGUP), events.LegAnswered(FAR)):
        assert machine.handle(event, 3) == []
    assert machine.reason is EndReason.HANGUP
    assert machine.deadline() is None


def test_an_ended_call_refuses_a_leg_that_comes_too_late():
    machine = active()
    machine.handle(events.HangupRequested(), 2)
    with pytest.raises(InvalidState):
        machine.handle(events.LegAdded(LegId("late"), LegKind.WEBRTC, LegRole(Party.NEAR)), 3)
    assert LegId("late") not in machine.legs.records


def test_an_ended_call_refuses_requests_but_for_closing_legs():
    machine = active()
    machine.handle(events.HangupRequested(), 2)
    with pytest.raises(InvalidState):
        machine.handle(events.HangupRequested(), 3)
    assert machine.handle(events.CloseRequested(), 3) == []


def test_a_call_that_nobody_answers_ends_after_its_ring_time():
    machine = outbound(now=100)
    assert machine.deadline() == 160
    assert machine.handle(events.TimePassed(), 159.9) == []
    assert ended(machine, events.TimePassed(), 160) is EndReason.NO_ANSWER


def test_an_answered_call_ends_at_its_maximum_length():
    machine = active()
    assert machine.deadline() == 3600
    assert ended(machine, events.TimePassed(), 3600) is EndReason.HANGUP


def test_a_call_left_alone_ends_after_a_while():
    machine = active()
    join(machine, ANN)
    machine.handle(events.LegEnded(ANN, EndReason.MEDIA_TIMEOUT), 100)
    assert machine.deadline() == 130
    assert ended(machine, events.TimePassed(), 130) is EndReason.HANGUP


def test_a_ringing_call_left_alone_is_canceled():
    machine = outbound()
    join(machine, ANN)
    machine.handle(events.LegEnded(ANN, EndReason.REMOTE_HANGUP), 2)
    assert ended(machine, events.TimePassed(), 32) is EndReason.CANCELED


def test_a_call_that_never_had_a_near_leg_is_not_alone():
    assert active().deadline() == 3600


def test_a_leg_that_comes_back_ends_the_loneliness():
    machine = active()
    join(machine, ANN)
    machine.handle(events.LegEnded(ANN, EndReason.MEDIA_TIMEOUT), 100)
    join(machine, BOB, now=110)
    assert machine.deadline() == 3600


def test_closing_ends_the_webrtc_legs_and_not_the_call():
    machine = active()
    join(machine, ANN)
    join(machine, BOB)
    done = machine.handle(events.CloseRequested(), 2)
    gone = {c.leg_id for c in done if isinstance(c, commands.EndLeg)}
    assert gone == {ANN, BOB}
    assert machine.state is State.ACTIVE


def test_closing_a_named_leg_leaves_the_others():
    machine = active()
    join(machine, ANN)
    join(machine, BOB)
    done = machine.handle(events.CloseRequested(ANN), 2)
    assert commands.EndLeg(ANN, EndReason.HANGUP) in done
    assert BOB in machine.legs.records


def test_closing_a_leg_that_has_left_does_nothing():
    assert active().handle(events.CloseRequested(ANN), 2) == []


def test_any_order_of_events_ends_a_call_exactly_once():
    happenings: list[events.Event] = [
        events.LegRinging(FAR),
        events.LegAnswered(FAR),
        events.LegConnected(FAR),
        events.LegAdded(ANN, LegKind.WEBRTC, LegRole(Party.NEAR)),
        events.LegConnected(ANN),
        events.LegEnded(ANN, EndReason.MEDIA_TIMEOUT),
        events.LegEnded(FAR, EndReason.REMOTE_HANGUP),
        events.HangupRequested(),
        events.HangupRequested(),
        events.CloseRequested(),
        events.MuteRequested(muted=True),
        events.AnswerRequested(),
    ]
    shuffle = random.Random(7)
    for start, _ in itertools.product((outbound, inbound, active), range(400)):
        machine = start()
        shuffle.shuffle(happenings)
        ends = 0
        for event in happenings:
            try:
                done = machine.handle(event, 5)
            except InvalidState:
                continue
            ends += sum(isinstance(command, commands.EndCall) for command in done)
        assert ends == 1
        assert machine.state is State.ENDED
