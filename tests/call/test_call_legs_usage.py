"""When a call is abandoned: its last browser has left, and nothing has used it since."""

import pytest

from bridge.call import events
from bridge.call.leg_record import LegRecord
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, EndReason, LegId, LegKind, Party, State
from bridge.call.routing import LegRole

FAR, ANN, BOB, TAP = (LegId(name) for name in ("far", "ann", "bob", "tap"))
LIMITS = CallLimits(ring_seconds=60, call_seconds=3600, abandoned_seconds=30)
NEVER = 3600
"""Its longest length is what then ends a call."""


def active() -> CallMachine:
    machine = CallMachine(direction=Direction.OUTBOUND, limits=LIMITS, now=0)
    machine.handle(events.LegAdded(FAR, LegKind.SIMULATOR, LegRole(Party.FAR)), 0)
    machine.handle(events.LegAnswered(FAR), 0)
    machine.handle(events.LegConnected(FAR), 0)
    return machine


def add(machine: CallMachine, leg: LegId, kind: LegKind, *, asked_for: bool = True) -> None:
    near = kind in (LegKind.WEBRTC, LegKind.SOCKET, LegKind.SIMULATOR)
    party = Party.NEAR if near else Party.SERVICE
    machine.handle(events.LegAdded(leg, kind, LegRole(party, asked_for=asked_for)), 1)


def leave(machine: CallMachine, leg: LegId, now: float) -> None:
    machine.handle(events.LegEnded(leg, EndReason.HANGUP), now)


def test_a_call_whose_last_browser_has_left_ends_after_a_while():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    add(machine, BOB, LegKind.WEBRTC)
    leave(machine, BOB, 5)
    assert machine.deadline() == NEVER
    leave(machine, ANN, 10)
    assert machine.deadline() == 40
    machine.handle(events.TimePassed(), 40)
    assert (machine.state, machine.reason) == (State.ENDED, EndReason.HANGUP)


USES = [LegKind.PLAYBACK, LegKind.STREAM, LegKind.AGENT, LegKind.RECORDER, LegKind.SOCKET]


@pytest.mark.parametrize("kind", USES)
def test_a_call_that_is_in_use_when_its_browser_leaves_continues(kind):
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    add(machine, TAP, kind)
    leave(machine, ANN, 10)
    assert machine.deadline() == NEVER
    leave(machine, TAP, 20)
    assert machine.deadline() == NEVER


@pytest.mark.parametrize("kind", USES)
def test_a_call_that_is_used_after_its_browser_has_left_continues(kind):
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    leave(machine, ANN, 10)
    add(machine, TAP, kind)
    leave(machine, TAP, 20)
    assert machine.deadline() == NEVER


def test_a_recorder_that_the_line_starts_by_itself_is_no_use():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    add(machine, TAP, LegKind.RECORDER, asked_for=False)
    leave(machine, ANN, 10)
    assert machine.deadline() == 40


def test_a_request_that_names_the_call_is_a_use():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    leave(machine, ANN, 10)
    machine.handle(events.CallUsed(), 11)
    assert machine.deadline() == NEVER


def test_a_call_used_before_its_browser_joined_is_abandoned_once_that_leaves():
    machine = active()
    add(machine, TAP, LegKind.PLAYBACK)
    leave(machine, TAP, 2)
    machine.handle(events.CallUsed(), 3)
    add(machine, ANN, LegKind.WEBRTC)
    leave(machine, ANN, 10)
    assert machine.deadline() == 40


@pytest.mark.parametrize("kind", USES)
def test_a_call_that_never_had_a_browser_is_never_alone(kind):
    machine = active()
    add(machine, TAP, kind)
    leave(machine, TAP, 10)
    assert machine.deadline() == NEVER


def test_a_browser_that_comes_back_uses_the_call():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    leave(machine, ANN, 10)
    add(machine, ANN, LegKind.WEBRTC)
    assert machine.deadline() == NEVER


def test_a_party_at_a_telephone_uses_the_call_while_it_is_there():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    add(machine, BOB, LegKind.SIMULATOR)
    leave(machine, ANN, 10)
    assert machine.deadline() == NEVER
    leave(machine, BOB, 50)
    assert machine.deadline() == 80


def test_the_far_party_alone_does_not_use_the_call():
    far = LegRecord(FAR, LegKind.WEBRTC, LegRole(Party.FAR))
    assert not far.uses_call
    assert not far.is_person


def test_a_browser_that_has_not_come_back_after_its_machine_died_ends_the_call_at_once():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    add(machine, BOB, LegKind.WEBRTC)
    machine.handle(events.LegEnded(ANN, EndReason.NODE_LOST, waited=True), 70)
    assert machine.state is State.ACTIVE
    machine.handle(events.LegEnded(BOB, EndReason.NODE_LOST, waited=True), 70)
    assert (machine.state, machine.reason) == (State.ENDED, EndReason.NODE_LOST)


def test_a_call_in_use_goes_on_without_a_browser_that_has_not_come_back():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    add(machine, TAP, LegKind.SOCKET)
    machine.handle(events.LegEnded(ANN, EndReason.NODE_LOST, waited=True), 70)
    assert machine.state is State.ACTIVE


def test_a_browser_that_was_lost_and_not_waited_for_may_still_come_back():
    machine = active()
    add(machine, ANN, LegKind.WEBRTC)
    machine.handle(events.LegEnded(ANN, EndReason.NODE_LOST), 70)
    assert machine.state is State.ACTIVE
    assert machine.legs.departed.find(ANN, 71) is not None
