"""What a call does besides talking: hold, transfer, and the services that the bridge adds."""

from dataclasses import replace

import pytest

from bridge.call import commands, events
from bridge.call.bus.last_words import MAX_SECONDS
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, EndReason, LegId, LegKind, Party, State
from bridge.call.routing import Audience, LegRole
from bridge.errors import InvalidState
from bridge.wire.call_event import EventType

FAR, ANN, BOB, TAP = LegId("far"), LegId("ann"), LegId("bob"), LegId("tap")
LIMITS = CallLimits(ring_seconds=60, call_seconds=3600, abandoned_seconds=30)


def active(limits: CallLimits = LIMITS) -> CallMachine:
    machine = CallMachine(direction=Direction.OUTBOUND, limits=limits, now=0)
    machine.handle(events.LegAdded(FAR, LegKind.SIMULATOR, LegRole(Party.FAR)), 0)
    machine.handle(events.LegAnswered(FAR), 1)
    machine.handle(events.LegConnected(FAR), 1)
    return machine


def add(machine, leg, kind, *, party=Party.SERVICE, **what):
    machine.handle(events.LegAdded(leg, kind, LegRole(party, **what)), 1)


def rows(machine, event):
    routes = [c for c in machine.handle(event, 2) if isinstance(c, commands.RouteAudio)]
    return dict(routes[-1].rows)


def test_a_held_call_is_resumed():
    machine = active()
    assert commands.ReportState(State.HELD) in machine.handle(events.HoldRequested(held=True), 2)
    assert commands.ReportState(State.ACTIVE) in machine.handle(events.HoldRequested(held=False), 3)


def test_holding_twice_changes_nothing():
    machine = active()
    machine.handle(events.HoldRequested(held=True), 2)
    assert machine.handle(events.HoldRequested(held=True), 3) == []


def test_a_ringing_call_cannot_be_held():
    machine = CallMachine(direction=Direction.INBOUND, limits=LIMITS, now=0)
    with pytest.raises(InvalidState, match="only an active call"):
        machine.handle(events.HoldRequested(held=True), 1)


def test_hold_silences_the_near_party_towards_the_far_one():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR)
    assert rows(machine, events.HoldRequested(held=True))[FAR] == frozenset()
    assert rows(machine, events.HoldRequested(held=False))[FAR] == {ANN}


def test_a_held_call_ends_when_its_far_party_leaves():
    machine = active()
    machine.handle(events.HoldRequested(held=True), 2)
    done = machine.handle(events.LegEnded(FAR, EndReason.REMOTE_HANGUP), 3)
    assert commands.EndCall(EndReason.REMOTE_HANGUP) in done


def test_a_service_is_closed_by_its_name_and_not_with_all_browsers():
    machine = active()
    add(machine, TAP, LegKind.PLAYBACK, audience=Audience.FAR)
    assert machine.handle(events.CloseRequested(), 2) == []
    assert commands.EndLeg(TAP, EndReason.HANGUP) in machine.handle(events.CloseRequested(TAP), 2)


def test_a_far_party_that_is_no_browser_is_not_closed_by_its_name():
    machine = active()
    assert machine.handle(events.CloseRequested(FAR), 2) == []


def test_who_replaces_the_near_parties_does_so_once_connected():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR)
    add(machine, BOB, LegKind.SIMULATOR, party=Party.NEAR, replaces=True)
    assert ANN in machine.legs.records
    done = machine.handle(events.LegConnected(BOB), 3)
    assert commands.EndLeg(ANN, EndReason.HANGUP) in done
    assert [leg.leg_id for leg in machine.legs.near()] == [BOB]


def test_who_should_replace_the_near_parties_and_never_answers_is_let_go():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR)
    add(machine, BOB, LegKind.SIMULATOR, party=Party.NEAR, replaces=True)
    assert machine.deadline() == 61
    done = machine.handle(events.TimePassed(), 61)
    assert commands.EndLeg(BOB, EndReason.NO_ANSWER) in done
    assert [leg.leg_id for leg in machine.legs.near()] == [ANN]
    assert machine.state is State.ACTIVE


# A party in a browser that a call is given to


def test_an_invited_browser_takes_the_near_legs_place_once_it_is_connected():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR)
    assert machine.handle(events.InviteRequested("agent 7"), 2) == []
    add(machine, BOB, LegKind.WEBRTC, party=Party.NEAR, replaces=True)
    assert machine.transfers.invitation is None
    assert ANN in machine.legs.records
    machine.handle(events.LegConnected(BOB), 4)
    assert set(machine.legs.records) == {FAR, BOB}


def test_nobody_takes_a_place_that_was_not_offered():
    machine = active()
    with pytest.raises(InvalidState, match="not being transferred"):
        add(machine, BOB, LegKind.WEBRTC, party=Party.NEAR, replaces=True)


def test_an_invited_browser_that_does_not_join_is_reported_missed_and_the_call_continues():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR)
    machine.handle(events.InviteRequested("agent 7"), 2)
    assert machine.deadline() == 62
    assert machine.handle(events.TimePassed(), 62) == [
        commands.Report(EventType.PARTY_MISSED, {"identity": "agent 7"})
    ]
    assert machine.transfers.invitation is None
    assert machine.state is State.ACTIVE


STREAMED = [LegKind.SOCKET, LegKind.STREAM]


@pytest.mark.parametrize("streamed", STREAMED)
def test_a_call_is_recorded_and_streamed_unless_it_is_set_otherwise(streamed):
    machine = active()
    add(machine, TAP, LegKind.RECORDER)
    add(machine, ANN, streamed)
    assert {leg.kind for leg in machine.legs.records.values()} >= {LegKind.RECORDER, streamed}


@pytest.mark.parametrize("streamed", STREAMED)
def test_a_call_is_recorded_or_streamed_where_that_is_set(streamed):
    for first, second in ((LegKind.RECORDER, streamed), (streamed, LegKind.RECORDER)):
        machine = active(replace(LIMITS, exclusive=True))
        add(machine, TAP, first)
        with pytest.raises(InvalidState, match=r"recording\.exclusive"):
            add(machine, ANN, second)
        machine.handle(events.LegEnded(TAP, EndReason.HANGUP), 2)
        add(machine, ANN, second)


def test_other_legs_come_and_go_where_calls_are_recorded_or_streamed():
    machine = active(replace(LIMITS, exclusive=True))
    add(machine, TAP, LegKind.RECORDER)
    add(machine, LegId("tap2"), LegKind.RECORDER)
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR)
    add(machine, BOB, LegKind.AGENT, party=Party.NEAR)
    assert len(machine.legs.records) == 5


def test_a_bot_that_leaves_after_its_speech_is_heard_to_the_end_and_hears_nobody():
    machine = active()
    add(machine, TAP, LegKind.SOCKET, party=Party.NEAR)
    done = machine.handle(events.CloseRequested(TAP, after_speech=True), 2)
    assert commands.CloseAfterSpeech(TAP) in done
    routes = next(one for one in done if isinstance(one, commands.RouteAudio))
    assert routes.rows[FAR] == {TAP}
    assert routes.rows[TAP] == frozenset()
    assert machine.legs.near() == []
    again = machine.handle(events.CloseRequested(TAP, after_speech=True), 3)
    assert commands.CloseAfterSpeech(TAP) not in again
    assert commands.EndLeg(TAP, EndReason.HANGUP) in machine.handle(events.CloseRequested(TAP), 4)


def test_a_bot_that_does_not_finish_leaves_at_the_limit():
    machine = active()
    add(machine, TAP, LegKind.SOCKET, party=Party.NEAR)
    machine.handle(events.LegConnected(TAP), 1)
    machine.handle(events.CloseRequested(TAP, after_speech=True), 2)
    assert machine.deadline() == 2 + MAX_SECONDS
    done = machine.handle(events.TimePassed(), 2 + MAX_SECONDS)
    assert commands.EndLeg(TAP, EndReason.HANGUP) in done


def test_a_person_leaves_at_once_also_after_speech():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR)
    done = machine.handle(events.CloseRequested(ANN, after_speech=True), 2)
    assert commands.EndLeg(ANN, EndReason.HANGUP) in done


def test_a_bot_whose_place_a_person_takes_finishes_what_it_says():
    machine = active()
    add(machine, TAP, LegKind.SOCKET, party=Party.NEAR)
    machine.handle(events.LegConnected(TAP), 1)
    add(machine, BOB, LegKind.WEBRTC, party=Party.NEAR, replaces=False)
    machine.handle(events.InviteRequested("ann"), 2)
    add(machine, ANN, LegKind.WEBRTC, party=Party.NEAR, replaces=True)
    done = machine.handle(events.LegConnected(ANN), 3)
    assert commands.EndLeg(BOB, EndReason.HANGUP) in done
    assert commands.CloseAfterSpeech(TAP) in done
    routes = [one for one in done if isinstance(one, commands.RouteAudio)]
    assert routes[-1].rows[FAR] == {TAP, ANN}
