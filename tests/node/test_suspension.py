"""Copies of calls that go on: what they have, what makes them out of date, and what is lost with a process."""

import os

import msgspec
import pytest
from msgspec.structs import replace

from bridge.call import events
from bridge.call.model import LegKind, Party
from bridge.call.routing import LegRole
from bridge.errors import HandoverRefused
from bridge.legs.playback import PlaybackSnapshot
from bridge.node import call_snapshot
from bridge.wire.call_event import EventType
from tests.support.handover.node_pair import FAR, NEAR, NodePair
from tests.support.waiting import until


@pytest.fixture
async def pair():
    made = NodePair()
    yield made
    await made.aclose()


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def test_a_call_is_copied_while_it_goes_on(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    told: list[str] = []
    pair.handover.before_move = told.append
    with pair.handover.copied(call_id) as (snapshot, descriptors):
        assert (runner.suspension.active, len(descriptors)) == (True, 2)
        assert call_snapshot.decode(snapshot).facts == runner.facts
    assert not runner.suspension.active
    before = runner.suspension.revision
    runner.suspension.note_change()
    assert pair.handover.revisions() == {call_id: before + 1}
    assert told == []


async def test_what_changes_a_call_raises_its_revision(pair):
    runner = await pair.talk()

    def revision():
        return pair.handover.revisions()[runner.facts.call_id]

    before = revision()
    pair.near.emit(events.LegReported(NEAR, EventType.PLAYBACK_COMPLETED, {}))
    assert revision() == before
    pair.near.emit(events.LegRenegotiated(NEAR))
    assert revision() == before + 1
    with runner.suspension.kept_here():
        assert revision() == before + 1
    assert revision() == before + 2


async def test_what_is_about_to_join_a_call_keeps_it_from_being_copied_unless_it_may_be_lost(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    with runner.suspension.kept_here(copied=True):
        assert pair.handover.movable() == []
        with pair.handover.copied(call_id):
            pass
    with (
        runner.suspension.kept_here(),
        pytest.raises(HandoverRefused),
        pair.handover.copied(call_id),
    ):
        pass
    assert pair.handover.movable() == [call_id]


async def test_a_leg_that_cannot_be_copied_is_lost_and_ends_where_the_call_goes_on(pair):
    runner = await pair.talk()
    late = pair.leg("late")
    runner.add_leg(late, LegRole(Party.NEAR))
    await until(lambda: late.running)
    late.refuses = "suspend"
    with pair.handover.copied(runner.facts.call_id) as (snapshot, descriptors):
        passed = [os.dup(one) for one in descriptors]
    assert [leg.lost for leg in call_snapshot.decode(snapshot).legs] == [False, False, True]
    assert (late.done, pair.near.done) == ([], ["suspend", "resume"])
    pair.adoption.adopt(snapshot, passed)
    await until(lambda: pair.new.happened[-1:] == ["leg.left"])
    moved = pair.new.manager.running(runner.facts.call_id)
    assert [leg.leg_id for leg in moved.legs()] == [FAR, NEAR]


async def test_a_copy_without_a_leg_is_out_of_date_once_that_can_be_copied(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    pair.near.refuses = "check"
    with pair.handover.copied(call_id):
        before = pair.handover.revisions()
    assert pair.handover.revisions() == before
    pair.near.refuses = ""
    assert pair.handover.revisions()[call_id] == before[call_id] + 1
    assert pair.handover.revisions()[call_id] == before[call_id] + 1


@pytest.mark.parametrize("kind", [None, LegKind.RECORDER])
async def test_no_copy_is_made_without_the_far_party_or_what_a_service_works_with(pair, kind):
    runner = await pair.talk()
    needed = pair.far
    if kind is not None:
        runner.add_leg(needed := pair.leg("needed", kind), LegRole(Party.SERVICE))
    needed.refuses = "check"
    with pytest.raises(HandoverRefused), pair.handover.copied(runner.facts.call_id):
        pass
    assert not runner.suspension.active
    pair.near.party.send(b"voice")
    assert pair.near.socket.recv(100) == b"voice"


async def test_a_leg_of_a_copy_that_cannot_be_restored_is_lost_unless_it_is_needed(pair):
    runner = await pair.talk()
    with pair.handover.copied(runner.facts.call_id) as (snapshot, descriptors):
        passed = [os.dup(one) for one in descriptors]
    pair.restorer.refuses = LegKind.SIMULATOR
    with pytest.raises(HandoverRefused):
        pair.adoption.adopt(snapshot, passed)
    assert all(is_open(one) for one in passed)
    pair.restorer.refuses = LegKind.WEBRTC
    pair.adoption.adopt(snapshot, passed)
    await until(lambda: pair.new.happened[-1:] == ["leg.left"])
    assert not any(is_open(one) for one in passed)


def doubtful(call, **fields):
    """Return the bytes of a call whose last leg is changed so, and has a peer of which nothing is known."""
    state = msgspec.Raw(msgspec.msgpack.encode({"peer": {}}))
    changed = replace(call.legs[-1], state=state, **fields)
    return call_snapshot.encode(replace(call, legs=(*call.legs[:-1], changed)))


async def test_a_leg_of_which_it_is_not_known_what_it_has_used_is_lost_unless_it_is_needed(pair):
    runner = await pair.talk()
    with pair.handover.copied(runner.facts.call_id) as (snapshot, _):
        call = call_snapshot.decode(snapshot)
    later = call_snapshot.advance(doubtful(call), {}, died_at=call.at, now=call.at)
    assert [leg.lost for leg in call_snapshot.decode(later).legs] == [False, True]
    with pytest.raises(HandoverRefused):
        call_snapshot.advance(doubtful(call, needed=True), {}, died_at=call.at, now=call.at)


async def test_a_playback_is_advanced_by_the_time_until_the_death_of_its_process(pair):
    runner = await pair.talk()
    with pair.handover.copied(runner.facts.call_id) as (snapshot, _):
        call = call_snapshot.decode(snapshot)
    playing = PlaybackSnapshot("a.wav", 1, 0, 640, b"", 1, paused=False)
    state = msgspec.Raw(msgspec.msgpack.encode(playing))
    legs = (*call.legs[:-1], replace(call.legs[-1], kind=LegKind.PLAYBACK, state=state))
    copy = call_snapshot.encode(replace(call, legs=legs))
    later = call_snapshot.advance(copy, {}, died_at=call.at + 2.0, now=call.at + 9.0)
    found = call_snapshot.decode(later).legs[-1].state
    assert msgspec.msgpack.decode(found, type=PlaybackSnapshot) == playing.after(2.0)


async def test_the_kinds_of_legs_of_a_copy_are_known_without_reading_all_of_it(pair):
    runner = await pair.talk()
    with pair.handover.copied(runner.facts.call_id) as (snapshot, _):
        assert call_snapshot.leg_kinds(snapshot) == {LegKind.SIMULATOR, LegKind.WEBRTC}
    for nonsense in (b"", b"\x80", b"nonsense", snapshot[:50]):
        assert call_snapshot.leg_kinds(nonsense) == set()
