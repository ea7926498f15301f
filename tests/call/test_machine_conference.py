"""Several far parties in one call: who hears whom, hold and mute of one, early media, and when the call ends."""

from dataclasses import replace

import pytest

from bridge.call import commands, events
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, EndReason, LegId, LegKind, Party, State
from bridge.call.routing import TONE, Audience, LegRole, Subscription
from bridge.errors import InvalidState, LegNotFound
from tests.call.test_transfers import ANN, BOB, FAR, LIMITS, TUNE, Call

EVE = LegId("eve")


def conference() -> Call:
    call = Call()
    call.ring(LegRole(Party.FAR))
    call.answer()
    return call


def test_everybody_hears_all_others_once():
    call = conference()
    call.add(EVE, LegKind.GATEWAY, LegRole(Party.FAR))
    call.handle(events.LegConnected(EVE))
    everybody = {FAR, ANN, BOB, EVE}
    assert call.rows == {one: everybody - {one} for one in everybody}


def test_a_party_that_rings_neither_hears_nor_is_heard():
    call = Call()
    call.ring(LegRole(Party.FAR))
    call.handle(events.LegEarlyMedia(BOB), events.LegConnected(BOB))
    assert call.rows == {FAR: {ANN}, ANN: {FAR}}


def test_no_party_joins_before_the_call_is_answered():
    machine = CallMachine(direction=Direction.INBOUND, limits=LIMITS, now=0)
    machine.handle(events.LegAdded(FAR, LegKind.SIP, LegRole(Party.FAR)), 0)
    with pytest.raises(InvalidState, match="already has its far party"):
        machine.handle(events.LegAdded(BOB, LegKind.SIP, LegRole(Party.FAR)), 1)


def test_recorders_have_all_parties_on_their_tracks():
    call = conference()
    for name, hears in (
        ("in", Subscription.INBOUND),
        ("out", Subscription.OUTBOUND),
        ("both", Subscription.BOTH),
    ):
        role = LegRole(Party.SERVICE, hears, Audience.NOBODY)
        call.add(LegId(name), LegKind.RECORDER, role)
    assert call.rows[LegId("in")] == {FAR, BOB}
    assert call.rows[LegId("out")] == {ANN}
    assert call.rows[LegId("both")] == {FAR, BOB, ANN}


@pytest.mark.parametrize("gone", [FAR, BOB])
def test_the_call_continues_until_its_last_far_party_has_gone(gone):
    call = conference()
    call.handle(events.LegEnded(gone, EndReason.REMOTE_HANGUP))
    [last] = {FAR, BOB} - {gone}
    assert call.rows == {last: {ANN}, ANN: {last}}
    call.handle(events.LegEnded(last, EndReason.REMOTE_HANGUP))
    assert call.machine.reason is EndReason.REMOTE_HANGUP


def test_a_call_whose_only_party_leaves_while_another_rings_ends():
    call = Call()
    call.ring(LegRole(Party.FAR))
    call.handle(events.LegEnded(FAR, EndReason.REMOTE_HANGUP))
    assert call.machine.state is State.ENDED


def test_a_party_that_does_not_answer_does_not_end_the_call():
    call = Call()
    call.ring(LegRole(Party.FAR))
    call.handle(events.TimePassed(), now=61)
    assert commands.EndLeg(BOB, EndReason.NO_ANSWER) in call.done
    assert call.rows == {FAR: {ANN}, ANN: {FAR}}


def test_a_party_is_removed_by_its_name_and_the_last_one_is_not():
    call = conference()
    call.handle(events.CloseRequested(FAR))
    assert call.legs == {ANN, BOB}
    call.handle(events.CloseRequested(BOB))
    assert call.legs == {ANN, BOB}


def test_a_party_leaves_when_it_has_talked_as_long_as_it_may():
    call = Call()
    call.add(BOB, LegKind.SIP, LegRole(Party.FAR, talk_seconds=100))
    call.handle(events.LegDialled(BOB), now=2)
    call.handle(events.LegConnected(BOB), events.LegAnswered(BOB), now=10)
    assert call.machine.deadline() == 110
    call.handle(events.TimePassed(), now=110)
    assert commands.EndLeg(BOB, EndReason.HANGUP) in call.done
    assert call.machine.state is State.ACTIVE


def test_one_far_party_is_muted_for_all_others():
    call = conference()
    call.handle(events.MuteRequested(muted=True, leg_id=BOB))
    assert call.rows == {FAR: {ANN}, ANN: {FAR}, BOB: {FAR, ANN}}


def test_muting_our_side_does_not_mute_far_parties():
    call = conference()
    call.handle(events.MuteRequested(muted=True))
    assert call.rows[FAR] == {BOB}
    assert call.rows[ANN] == {FAR, BOB}


def test_one_party_is_held_and_hears_the_music():
    call = conference()
    call.add(TUNE, LegKind.PLAYBACK, LegRole(Party.SERVICE, Subscription.NOBODY, Audience.HELD))
    call.handle(events.HoldRequested(held=True, leg_id=BOB))
    assert call.rows[BOB] == {TUNE}
    assert call.rows[FAR] == {ANN}
    assert call.machine.state is State.ACTIVE
    call.handle(events.HoldRequested(held=False, leg_id=BOB))
    assert call.rows[BOB] == {FAR, ANN}


def test_a_party_that_is_not_there_cannot_be_held():
    call = Call()
    with pytest.raises(LegNotFound):
        call.handle(events.HoldRequested(held=True, leg_id=BOB))


def test_resuming_the_call_resumes_every_party():
    call = conference()
    call.handle(events.HoldRequested(held=True, leg_id=BOB))
    call.handle(events.HoldRequested(held=True))
    call.handle(events.HoldRequested(held=False))
    assert call.rows[BOB] == {FAR, ANN}


def test_an_agent_and_a_socket_do_not_hear_a_held_party_and_a_recorder_does():
    call = Call()
    call.add(LegId("agent"), LegKind.AGENT, LegRole(Party.SERVICE, Subscription.INBOUND))
    call.add(LegId("socket"), LegKind.SOCKET, LegRole(Party.NEAR, Subscription.INBOUND))
    tap = LegRole(Party.SERVICE, Subscription.INBOUND, Audience.NOBODY)
    call.add(LegId("tap"), LegKind.RECORDER, tap)
    call.handle(events.HoldRequested(held=True))
    assert call.rows[LegId("agent")] == call.rows[LegId("socket")] == frozenset()
    assert call.rows[LegId("tap")] == {FAR}


def test_digits_go_to_all_far_parties_that_are_not_held():
    call = conference()
    call.handle(events.HoldRequested(held=True, leg_id=FAR))
    call.handle(events.DigitsRequested("7"))
    assert call.done == [commands.SendDigits(BOB, "7")]


def test_far_parties_that_talk_with_each_other_use_the_call():
    call = conference()
    call.handle(events.LegEnded(ANN, EndReason.HANGUP), now=10)
    assert call.machine.deadline() == 3600
    call.handle(events.LegEnded(BOB, EndReason.REMOTE_HANGUP), now=20)
    assert call.machine.deadline() == 50


def test_a_near_party_may_leave_a_call_whose_far_party_has_yet_to_come():
    machine = CallMachine(direction=Direction.OUTBOUND, limits=LIMITS, now=0, waits_for_far=True)
    machine.handle(events.LegAdded(ANN, LegKind.WEBRTC, LegRole(Party.NEAR)), 0)
    machine.handle(events.CloseRequested(), 1)
    assert machine.state is State.RINGING


# Hold in signalling


def test_a_held_party_is_told_so_where_no_music_is_played():
    call = Call()
    call.handle(events.HoldRequested(held=True))
    assert commands.HoldLeg(FAR, held=True) in call.done
    call.add(TUNE, LegKind.PLAYBACK, LegRole(Party.SERVICE, Subscription.NOBODY, Audience.HELD))
    assert commands.HoldLeg(FAR, held=False) in call.done
    call.handle(events.LegEnded(TUNE, EndReason.FAILED))
    assert commands.HoldLeg(FAR, held=True) in call.done
    call.handle(events.HoldRequested(held=False))
    assert commands.HoldLeg(FAR, held=False) in call.done


# Before the answer


def ringing(kind: LegKind = LegKind.SIP) -> CallMachine:
    rules = replace(LIMITS, rings_back=frozenset({LegKind.SIP}))
    machine = CallMachine(direction=Direction.OUTBOUND, limits=rules, now=0)
    machine.handle(events.LegAdded(FAR, kind, LegRole(Party.FAR)), 0)
    machine.handle(events.LegAdded(ANN, LegKind.WEBRTC, LegRole(Party.NEAR)), 0)
    role = LegRole(Party.NEAR, Subscription.INBOUND)
    machine.handle(events.LegAdded(BOB, LegKind.SOCKET, role), 0)
    return machine


def rows(machine: CallMachine, event: events.Event) -> dict[LegId, frozenset[LegId]]:
    routes = [c for c in machine.handle(event, 1) if isinstance(c, commands.RouteAudio)]
    return dict(routes[-1].rows) if routes else {}


def test_a_near_person_hears_a_tone_while_the_far_party_rings():
    machine = ringing()
    machine.handle(events.LegDialled(FAR), 1)
    found = rows(machine, events.LegRinging(FAR))
    assert found[ANN] == {TONE, BOB}
    assert found[BOB] == frozenset()
    assert rows(machine, events.LegAnswered(FAR))[ANN] == {FAR, BOB}


def test_early_media_is_heard_in_place_of_the_tone_and_not_answered():
    machine = ringing()
    machine.handle(events.LegRinging(FAR), 1)
    found = rows(machine, events.LegEarlyMedia(FAR))
    assert found[ANN] == {FAR, BOB}
    assert FAR not in found


def test_a_tone_is_for_the_kinds_of_party_that_have_one():
    machine = ringing(LegKind.WHATSAPP)
    assert rows(machine, events.LegRinging(FAR))[ANN] == {BOB}


def test_an_inbound_call_that_rings_us_has_no_tone():
    rules = replace(LIMITS, rings_back=frozenset({LegKind.SIP}))
    machine = CallMachine(direction=Direction.INBOUND, limits=rules, now=0)
    machine.handle(events.LegAdded(FAR, LegKind.SIP, LegRole(Party.FAR)), 0)
    joined = events.LegAdded(ANN, LegKind.WEBRTC, LegRole(Party.NEAR))
    assert rows(machine, joined)[ANN] == frozenset()


def called_from_a_telephone() -> Call:
    """A call that Bob's telephone makes, whose far party has answered while it still rings."""
    call = Call()
    call.ring(LegRole(Party.NEAR, caller=True))
    return call


def test_a_party_that_answers_before_the_telephone_that_calls_it_hears_a_tone():
    call = called_from_a_telephone()
    assert call.rows[FAR] == {TONE}
    call.answer()
    assert call.rows == {FAR: {ANN, BOB}, ANN: {FAR, BOB}, BOB: {FAR, ANN}}


@pytest.mark.parametrize("answers", [False, True])
def test_a_call_ends_with_the_telephone_that_makes_it(answers):
    call = called_from_a_telephone()
    if answers:
        call.answer()
    call.handle(events.LegEnded(BOB, EndReason.BUSY))
    assert call.machine.reason is (EndReason.HANGUP if answers else EndReason.BUSY)


def test_a_call_whose_telephone_never_answers_ends():
    call = called_from_a_telephone()
    call.handle(events.TimePassed(), now=61)
    assert call.machine.reason is EndReason.NO_ANSWER
