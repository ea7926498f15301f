"""Transfers: who is rung, who waits and hears what, who leaves, and what happens when nobody answers."""

import pytest

from bridge.call import commands, events
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, EndReason, LegId, LegKind, LegOwner, Party, State
from bridge.call.routing import TONE, Audience, LegRole, Subscription
from bridge.errors import InvalidState

FAR, ANN, BOB, TUNE = (LegId(name) for name in ("far", "ann", "bob", "tune"))
LIMITS = CallLimits(ring_seconds=60, call_seconds=3600, abandoned_seconds=30)


class Call:
    """A call with a far party and one of ours in a browser; keeps the latest rows and commands."""

    def __init__(self, kind: LegKind = LegKind.SIP) -> None:
        self.machine = CallMachine(direction=Direction.OUTBOUND, limits=LIMITS, now=0)
        self.rows: dict[LegId, frozenset[LegId]] = {}
        self.done: list[commands.Command] = []
        self.add(FAR, kind, LegRole(Party.FAR))
        self.handle(events.LegAnswered(FAR), events.LegConnected(FAR))
        self.add(ANN, LegKind.WEBRTC, LegRole(Party.NEAR))
        self.handle(events.LegConnected(ANN))

    def add(self, leg: LegId, kind: LegKind, role: LegRole) -> None:
        self.handle(events.LegAdded(leg, kind, role))

    def handle(self, *happened: events.Event, now: float = 1) -> None:
        self.done = []
        for event in happened:
            self.done += self.machine.handle(event, now)
        for command in self.done:
            if isinstance(command, commands.RouteAudio):
                self.rows = dict(command.rows)

    def ring(self, role: LegRole | None = None) -> None:
        """Have Bob rung to take the near party's place."""
        self.add(BOB, LegKind.SIMULATOR, role or LegRole(Party.NEAR, replaces=True))
        self.handle(events.LegDialled(BOB), events.LegRinging(BOB))

    def answer(self) -> None:
        self.handle(events.LegAnswered(BOB), events.LegConnected(BOB))

    @property
    def reported(self) -> list[str]:
        return [command.type for command in self.done if isinstance(command, commands.Report)]

    @property
    def legs(self) -> set[str]:
        return set(self.machine.legs.records)


def test_while_the_new_party_rings_the_far_one_hears_a_tone_and_nobody_hears_it():
    call = Call()
    call.ring()
    assert call.rows[FAR] == {TONE}
    assert call.rows[ANN] == frozenset()
    assert call.rows[BOB] == frozenset()


def test_a_recorder_hears_the_party_that_waits_and_its_tone():
    call = Call()
    tap = LegRole(Party.SERVICE, Subscription.BOTH, Audience.NOBODY)
    call.add(TUNE, LegKind.RECORDER, tap)
    call.ring()
    assert call.rows[TUNE] == {FAR, TONE}


def test_early_media_of_the_new_party_takes_the_tones_place():
    call = Call()
    call.ring()
    call.handle(events.LegEarlyMedia(BOB), events.LegConnected(BOB))
    assert call.rows[FAR] == {BOB}
    assert call.rows[BOB] == frozenset()
    assert ANN in call.machine.legs.records


def test_what_is_played_to_those_who_wait_takes_the_tones_place_and_ends_with_the_transfer():
    call = Call()
    call.add(TUNE, LegKind.PLAYBACK, LegRole(Party.SERVICE, Subscription.NOBODY, Audience.WAITING))
    assert call.rows[FAR] == {ANN}
    call.ring()
    assert call.rows[FAR] == {TUNE}
    call.answer()
    assert call.legs == {FAR, BOB}


def test_once_the_new_party_talks_our_side_has_left():
    call = Call()
    call.ring()
    call.answer()
    assert call.rows == {FAR: {BOB}, BOB: {FAR}}
    assert call.reported == ["transfer.completed"]
    assert call.legs == {FAR, BOB}


def test_an_agent_leaves_with_our_side():
    call = Call()
    call.add(TUNE, LegKind.AGENT, LegRole(Party.SERVICE, Subscription.INBOUND))
    call.ring()
    call.answer()
    assert call.legs == {FAR, BOB}


@pytest.mark.parametrize("gone", [FAR, BOB])
def test_a_call_that_our_side_has_left_ends_with_either_party(gone):
    call = Call()
    call.ring()
    call.answer()
    call.handle(events.LegEnded(gone, EndReason.REMOTE_HANGUP))
    assert call.machine.state is State.ENDED
    assert call.machine.reason is EndReason.REMOTE_HANGUP


def test_a_new_party_that_does_not_answer_leaves_everything_as_it_was():
    call = Call()
    call.ring()
    call.handle(events.LegEnded(BOB, EndReason.BUSY))
    assert call.rows == {FAR: {ANN}, ANN: {FAR}}
    assert call.reported == ["transfer.failed"]
    assert call.machine.state is State.ACTIVE


def test_a_dial_that_the_provider_refuses_is_reported_to_the_one_who_asked_only():
    call = Call()
    call.add(BOB, LegKind.SIMULATOR, LegRole(Party.NEAR, replaces=True))
    call.handle(events.LegEnded(BOB, EndReason.UNREACHABLE))
    assert call.reported == []
    assert call.rows[FAR] == {ANN}


def test_a_new_party_that_rings_too_long_is_let_go():
    call = Call()
    call.ring()
    assert call.machine.deadline() == 61
    call.handle(events.TimePassed(), now=61)
    assert commands.EndLeg(BOB, EndReason.NO_ANSWER) in call.done
    assert call.reported == ["transfer.failed"]


def test_the_new_party_hears_its_announcement_before_it_talks():
    call = Call()
    call.add(TUNE, LegKind.PLAYBACK, LegRole(Party.SERVICE, Subscription.NOBODY, Audience.ARRIVING))
    call.ring()
    call.answer()
    assert call.done.count(commands.StartPlayback(TUNE)) == 1
    assert call.rows[BOB] == {TUNE}
    assert call.rows[FAR] == {TONE}
    call.handle(events.LegEnded(TUNE, EndReason.HANGUP))
    assert call.rows == {FAR: {BOB}, BOB: {FAR}}
    assert call.reported == ["transfer.completed"]


def test_a_held_call_that_is_transferred_is_active_again():
    call = Call()
    call.handle(events.HoldRequested(held=True))
    call.ring()
    call.answer()
    assert call.machine.state is State.ACTIVE
    assert call.rows[FAR] == {BOB}


def test_there_is_one_transfer_at_a_time():
    call = Call()
    call.ring()
    with pytest.raises(InvalidState, match="transferred already"):
        call.add(TUNE, LegKind.SIMULATOR, LegRole(Party.NEAR, replaces=True))


def test_our_side_may_leave_while_the_new_party_rings():
    call = Call()
    call.ring()
    call.handle(events.LegEnded(ANN, EndReason.HANGUP))
    call.answer()
    assert call.rows == {FAR: {BOB}, BOB: {FAR}}


# A far party asks for it (REFER)

ASKED = events.LegTransferRequested(FAR, "15550100002", "sip:15550100002@example.org")
IN_PLACE = LegRole(Party.FAR, replaces=True, in_place_of=FAR)


def test_a_far_party_may_have_somebody_called_in_its_place():
    call = Call()
    call.handle(ASKED)
    assert call.done == [commands.CallInstead(ASKED)]
    call.ring(IN_PLACE)
    assert commands.ReportTransfer(FAR, 180) in call.done
    assert call.rows[ANN] == {TONE}
    assert call.rows[FAR] == frozenset()
    call.answer()
    assert commands.ReportTransfer(FAR, 200) in call.done
    assert call.legs == {ANN, BOB}
    assert call.rows == {ANN: {BOB}, BOB: {ANN}}


def test_a_far_party_that_hangs_up_after_it_has_asked_does_not_end_the_call():
    call = Call()
    call.ring(IN_PLACE)
    call.handle(events.LegEnded(FAR, EndReason.REMOTE_HANGUP))
    assert call.machine.state is State.ACTIVE
    call.answer()
    assert call.rows == {ANN: {BOB}, BOB: {ANN}}


def test_a_call_whose_far_party_has_gone_ends_when_the_one_in_its_place_does_not_answer():
    call = Call()
    call.ring(IN_PLACE)
    call.handle(events.LegEnded(FAR, EndReason.REMOTE_HANGUP))
    call.handle(events.LegEnded(BOB, EndReason.BUSY))
    assert call.machine.state is State.ENDED


def test_a_far_party_is_told_that_nobody_answered_and_talks_on():
    call = Call()
    call.ring(IN_PLACE)
    call.handle(events.LegEnded(BOB, EndReason.BUSY))
    assert commands.ReportTransfer(FAR, 486) in call.done
    assert call.rows == {FAR: {ANN}, ANN: {FAR}}


def test_a_transfer_that_comes_amid_another_is_declined():
    call = Call()
    call.ring()
    call.handle(ASKED)
    assert commands.ReportTransfer(FAR, 603) in call.done


# We ask the far party (REFER)


def test_a_far_party_that_calls_somebody_else_ends_the_call():
    call = Call()
    call.handle(events.ReferRequested("15550100002"))
    assert commands.ReferLeg(FAR, "15550100002") in call.done
    call.handle(events.LegTransferProgressed(FAR, 180, final=False))
    assert call.machine.state is State.ACTIVE
    call.handle(events.LegTransferProgressed(FAR, 200, final=True))
    assert call.machine.state is State.ENDED
    assert call.reported == ["transfer.completed"]


def test_a_far_party_that_refuses_to_call_somebody_else_talks_on():
    call = Call()
    call.handle(events.ReferRequested("15550100002"))
    call.handle(events.LegTransferProgressed(FAR, 486, final=True))
    assert call.machine.state is State.ACTIVE
    assert call.reported == ["transfer.failed"]
    call.handle(events.ReferRequested("15550100002"))


# Attended


def consulted() -> Call:
    call = Call()
    call.handle(events.HoldRequested(held=True, leg_id=FAR))
    call.ring(LegRole(Party.FAR))
    call.answer()
    return call


def test_a_party_is_consulted_while_the_other_is_held():
    call = consulted()
    assert call.rows == {FAR: frozenset(), ANN: {BOB}, BOB: {ANN}}


def test_after_the_consultation_our_side_leaves_the_two_to_each_other():
    call = consulted()
    call.handle(events.LeaveRequested(BOB))
    assert call.rows == {FAR: {BOB}, BOB: {FAR}}
    assert call.reported == ["transfer.completed"]
    call.handle(events.LegEnded(BOB, EndReason.REMOTE_HANGUP))
    assert call.machine.state is State.ENDED


def test_a_call_is_not_left_to_a_party_alone():
    call = Call()
    with pytest.raises(InvalidState, match="two far parties"):
        call.handle(events.LeaveRequested(FAR))


# A browser


def test_an_invited_browser_must_be_the_one_that_was_invited():
    call = Call()
    call.handle(events.InviteRequested("agent 7"))
    role = LegRole(Party.NEAR, replaces=True, owner=LegOwner("transfer", "agent 8"))
    with pytest.raises(InvalidState, match="somebody else"):
        call.add(BOB, LegKind.WEBRTC, role)


def test_an_invited_browser_takes_the_place_of_somebody_who_is_rung_too():
    call = Call()
    call.ring()
    call.handle(events.InviteRequested("agent 7"))
    call.add(TUNE, LegKind.WEBRTC, LegRole(Party.NEAR, replaces=True))
    call.handle(events.LegConnected(TUNE))
    assert call.rows == {FAR: {TUNE}, TUNE: {FAR}}
    assert call.legs == {FAR, TUNE}
    assert call.reported == ["transfer.failed"]
    call.ring()


def test_a_call_that_our_side_has_left_can_be_held_and_stays_so():
    call = Call()
    call.ring()
    call.answer()
    call.add(TUNE, LegKind.PLAYBACK, LegRole(Party.SERVICE, Subscription.NOBODY, Audience.HELD))
    call.handle(events.HoldRequested(held=True))
    call.handle(events.LegEnded(TUNE, EndReason.HANGUP))
    assert call.machine.state is State.HELD


def test_it_is_kept_who_took_a_side_over_last_and_how_often():
    call = Call()
    assert call.machine.transfers.arrivals == {}
    call.ring()
    assert call.machine.transfers.arrivals == {}
    call.answer()
    assert call.machine.transfers.arrivals == {Party.NEAR: (BOB, 1)}
    call.add(ANN, LegKind.SIMULATOR, LegRole(Party.FAR, replaces=True, in_place_of=FAR))
    call.handle(events.LegDialled(ANN), events.LegAnswered(ANN), events.LegConnected(ANN))
    assert call.machine.transfers.arrivals == {Party.NEAR: (BOB, 1), Party.FAR: (ANN, 1)}
