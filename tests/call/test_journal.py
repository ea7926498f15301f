"""A call's machine is made again from its events, and is the same."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.detect.answerer import Answerer, Detection
from bridge.call import events
from bridge.call.journal import MAX_EVENTS, Journal, MachineSnapshot, restore, shifted, state_of
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, EndReason, LegId, LegKind, LegOwner, Party, State
from bridge.call.routing import LegRole
from bridge.errors import BridgeError, HandoverRefused, LegError

LIMITS = CallLimits(ring_seconds=45.0, call_seconds=7200.0, abandoned_seconds=15.0)
FAR, NEAR, OTHER = LegId("far"), LegId("near"), LegId("other")
ADDED = (
    events.LegAdded(FAR, LegKind.WHATSAPP, LegRole(Party.FAR)),
    events.LegAdded(NEAR, LegKind.WEBRTC, LegRole(Party.NEAR, owner=LegOwner("near", "ann"))),
    events.LegAdded(OTHER, LegKind.SIP, LegRole(Party.FAR, talk_seconds=60.0)),
    events.LegAdded(OTHER, LegKind.WEBRTC, LegRole(Party.NEAR, replaces=True)),
    events.LegAdded(OTHER, LegKind.RECORDER, LegRole(Party.SERVICE, asked_for=False)),
)
LEG_EVENTS = (
    events.LegDialled,
    events.LegRinging,
    events.LegEarlyMedia,
    events.LegAnswered,
    events.LegConnected,
    events.LegSilent,
    events.LegResumed,
    events.LegHeld,
    events.LegUnheld,
    events.LegRenegotiated,
)
anything = st.one_of(
    st.sampled_from(ADDED),
    st.builds(
        lambda kind, leg: kind(leg),
        st.sampled_from(LEG_EVENTS),
        st.sampled_from((FAR, NEAR, OTHER)),
    ),
    st.sampled_from(
        (
            events.AnswerRequested(),
            events.HangupRequested(),
            events.CloseRequested(NEAR, may_return=True),
            events.CloseRequested(),
            events.MuteRequested(muted=True),
            events.MuteRequested(muted=False, leg_id=NEAR),
            events.HoldRequested(held=True),
            events.HoldRequested(held=False),
            events.HoldRequested(held=True, leg_id=OTHER),
            events.DigitsRequested("1"),
            events.InviteRequested("bob"),
            events.LeaveRequested(OTHER),
            events.ReferRequested("15550100001"),
            events.LegTransferProgressed(FAR, 603, final=True),
            events.LegTransferRequested(FAR, "15550100002", "sip:15550100002"),
            events.AnswererDetected(FAR, Detection(Answerer.PERSON, 1.0)),
            events.DigitReceived(NEAR, "1"),
            events.CallUsed(),
            events.TimePassed(),
            events.LegEnded(NEAR, EndReason.HANGUP, LegError("gone")),
            events.LegEnded(OTHER, EndReason.BUSY),
        )
    ),
)


class Call:
    """A machine and the journal that its runner keeps."""

    def __init__(self, **more: bool) -> None:
        self.now = 100.0
        self.machine = CallMachine(direction=Direction.INBOUND, limits=LIMITS, now=self.now, **more)
        self.journal = Journal()

    def happen(self, event: events.Event, after: float = 0.5) -> None:
        self.now += after
        done = self.machine.handle(event, self.now)
        self.journal.note(event, self.now, acted=bool(done))

    def moved(self) -> MachineSnapshot:
        data = msgspec.msgpack.encode(self.journal.snapshot(self.machine))
        return msgspec.msgpack.decode(data, type=MachineSnapshot)


def talking() -> Call:
    call = Call()
    for event in (ADDED[0], ADDED[1], events.LegConnected(NEAR), events.AnswerRequested()):
        call.happen(event)
    call.happen(events.LegConnected(FAR))
    return call


@given(st.lists(st.tuples(anything, st.sampled_from((0.5, 20.0))), max_size=40))
def test_whatever_has_happened_to_a_call_its_machine_is_the_same_elsewhere(happened):
    call = Call()
    for event, after in happened:
        try:
            call.happen(event, after)
        except BridgeError:
            call.now += after
    machine, _ = restore(call.moved())
    assert state_of(machine) == state_of(call.machine)
    assert machine.legs.records == call.machine.legs.records


def test_a_machine_that_was_moved_goes_on_and_can_move_again():
    call = talking()
    call.machine, call.journal = restore(call.moved())
    call.happen(events.HoldRequested(held=True))
    machine, _ = restore(call.moved())
    assert machine.state is State.HELD
    assert machine.handle(events.HoldRequested(held=False), call.now)
    assert machine.state is State.ACTIVE


def test_a_browser_that_left_may_come_back_after_the_move():
    call = talking()
    call.happen(events.CloseRequested(NEAR, LegOwner("near", "ann"), may_return=True))
    machine, _ = restore(call.moved())
    assert machine.legs.departed.find(NEAR, call.now + 14.0) is not None
    assert machine.deadline() == call.now + LIMITS.abandoned_seconds


def test_a_call_that_a_silent_browser_has_left_can_move():
    call = talking()
    call.happen(events.LegSilent(NEAR))
    call.happen(events.LegEnded(NEAR, EndReason.MEDIA_TIMEOUT))
    machine, _ = restore(call.moved())
    assert machine.legs.departed.find(NEAR, call.now) is not None


def test_digits_and_reports_do_not_fill_the_journal():
    call = talking()
    for _ in range(MAX_EVENTS):
        call.happen(events.DigitReceived(NEAR, "1"))
        call.happen(events.LegSilent(FAR))
        call.happen(events.LegResumed(FAR))
        call.happen(events.CallUsed(), after=0.0)
    machine, _ = restore(call.moved())
    assert machine.state is State.ACTIVE


def test_a_call_to_which_too_much_has_happened_stays():
    call = talking()
    for count in range(MAX_EVENTS):
        call.happen(events.MuteRequested(muted=bool(count % 2)))
    with pytest.raises(HandoverRefused, match="too much"):
        call.journal.snapshot(call.machine)


def test_a_machine_that_ends_up_elsewhere_is_refused():
    moved = talking().moved()
    with pytest.raises(HandoverRefused, match="another state"):
        restore(msgspec.structs.replace(moved, entries=moved.entries[:-1]))


def test_events_that_are_not_known_here_are_refused():
    moved = talking().moved()
    unknown = msgspec.structs.replace(moved.entries[0], kind="LegVanished")
    with pytest.raises(HandoverRefused, match="cannot be replayed"):
        restore(msgspec.structs.replace(moved, entries=(unknown, *moved.entries[1:])))


@pytest.mark.parametrize("seconds", [-1e6, 0.0, 1234.5])
def test_on_a_clock_that_is_ahead_all_its_times_are_later(seconds):
    call = talking()
    call.happen(events.LegEnded(NEAR, EndReason.REMOTE_HANGUP))
    moved, _ = restore(shifted(call.moved(), seconds))
    deadline, answered_at = call.machine.deadline(), call.machine.answered_at
    assert deadline is not None
    assert answered_at is not None
    assert moved.deadline() == pytest.approx(deadline + seconds)
    assert moved.answered_at == pytest.approx(answered_at + seconds)
    [(_, until)] = moved.legs.departed.all()
    assert until == pytest.approx(call.machine.legs.departed.all()[0][1] + seconds)
    assert moved.legs.records == call.machine.legs.records


def test_a_machine_that_ends_up_elsewhere_is_not_moved_to_another_clock_either():
    snapshot = talking().moved()
    wrong = msgspec.structs.replace(
        snapshot, state=msgspec.structs.replace(snapshot.state, muted=True)
    )
    with pytest.raises(HandoverRefused):
        shifted(wrong, 1.0)
