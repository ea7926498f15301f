"""Calls pass between two nodes of one process: whole, once, and with nothing told twice."""

import os
from typing import Any

import pytest

from bridge.call import events
from bridge.call.digits import DigitRules
from bridge.call.model import LegId, Party, State
from bridge.call.routing import LegRole
from bridge.errors import CallMoving, CallNotFound, HandoverRefused
from bridge.node.calls.digits import Digits
from bridge.node.handover import Adoption, CallServices, Handover
from bridge.wire.call_event import EventType
from tests.support.fake_node import ONE
from tests.support.handover.node_pair import FAR, NEAR, NodePair
from tests.support.sampling import sample_calls
from tests.support.waiting import until


@pytest.fixture
async def pair():
    made = NodePair()
    yield made
    await made.aclose()


async def test_a_call_that_talks_goes_on_in_the_other_process(pair):
    runner = await pair.talk()
    runner.tag("blue")
    pair.near.digits = "12"
    call_id = runner.facts.call_id
    assert pair.handover.movable() == [call_id]
    moved = await pair.move(call_id)
    assert moved.facts == runner.facts
    assert moved.machine.state is State.ACTIVE
    assert [leg.leg_id for leg in moved.legs()] == [FAR, NEAR]
    assert pair.restorer.legs[1].digits == "12"
    assert moved.bus.path(NEAR) is not None
    await until(lambda: all(leg.running for leg in pair.restorer.legs))


async def test_nothing_is_told_of_the_move_and_the_end_once(pair):
    runner = await pair.talk()
    told = len(pair.old.happened)
    moved = await pair.move(runner.facts.call_id)
    assert pair.new.happened == []
    assert len(pair.old.happened) == told
    moved.dispatch(events.HangupRequested())
    assert pair.new.happened == ["leg.left", "leg.left", "call.ended"]
    assert len(pair.old.happened) == told
    assert pair.old.figure("bridge_calls_ended_total") == 0
    assert pair.new.figure("bridge_calls_ended_total") == 1


async def test_the_first_process_has_nothing_of_the_call_left(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    await pair.move(call_id)
    assert pair.old.manager.running(call_id) is None
    with pytest.raises(CallNotFound):
        pair.old.manager.record(ONE, call_id)
    for leg in (pair.far, pair.near):
        assert leg.done == ["suspend", "abandon"]
        assert leg.cancelled
    assert pair.old.figure("bridge_legs") == 0
    assert pair.old.figure("bridge_legs_ended_total") == 0
    assert pair.handover.movable() == []


async def test_what_reaches_the_sockets_is_read_by_the_other_process(pair):
    runner = await pair.talk()
    await pair.move(runner.facts.call_id)
    pair.near.party.send(b"voice")
    assert pair.restorer.legs[1].socket.recv(100) == b"voice"


async def test_packets_are_counted_once_by_both_together(pair):
    runner = await pair.talk()
    pair.near.packets = 100
    sample_calls(pair.old.manager, 10.0)
    pair.near.packets = 130
    moved = await pair.move(runner.facts.call_id)
    pair.restorer.legs[1].packets = 150
    sample_calls(pair.new.manager, 11.0)
    name = "bridge_rtp_packets_total"
    assert (pair.old.figure(name), pair.new.figure(name)) == (130, 20)
    assert pair.new.figure("bridge_legs") == 2
    moved.dispatch(events.HangupRequested())
    assert pair.new.figure("bridge_legs") == 0


async def test_figures_timelines_and_legs_that_left_are_kept(pair):
    runner = await pair.talk()
    gone = pair.leg("gone")
    runner.add_leg(gone, LegRole(Party.NEAR))
    runner.dispatch(events.CloseRequested(LegId("gone")))
    for second in range(4):
        pair.near.packets += 50
        sample_calls(pair.old.manager, 100.0 + second)
    call_id = runner.facts.call_id
    before = pair.old.manager.quality.legs(call_id)
    moved = await pair.move(call_id)
    after = pair.new.manager.quality.legs(call_id)
    assert [leg.last for leg in after] == [leg.last for leg in before]
    assert [leg.timeline.rows() for leg in after] == [leg.timeline.rows() for leg in before]
    assert [leg.leg_id for leg in moved.record().legs] == ["gone", FAR, NEAR]
    assert moved.record().legs[0].left is not None


async def test_a_problem_that_was_told_is_cleared_by_the_other_process(pair):
    runner = await pair.talk()
    sample_calls(pair.old.manager, 100.0)
    runner.publish(EventType.RECORDING_FAILED, {"reason": "disk_full"})
    assert pair.old.happened[-1] == "call.problem"
    moved = await pair.move(runner.facts.call_id)
    assert pair.old.figure("bridge_call_problems") == 0
    assert pair.new.figure("bridge_call_problems") == 1
    sample_calls(pair.new.manager, 101.0)
    moved.publish(EventType.RECORDING_STARTED)
    assert pair.new.happened == ["recording.started", "call.problem_cleared"]
    assert pair.new.figure("bridge_call_problems") == 0


async def test_holds_mutes_and_time_limits_go_on(pair):
    runner = await pair.talk()
    runner.dispatch(events.MuteRequested(muted=True))
    runner.dispatch(events.HoldRequested(held=True))
    deadline = runner.machine.deadline()
    moved = await pair.move(runner.facts.call_id)
    assert moved.machine.state is State.HELD
    assert moved.record().muted
    assert moved.machine.deadline() == deadline
    moved.dispatch(events.HoldRequested(held=False))
    assert pair.new.happened == ["call.resumed"]


async def test_a_call_can_move_on_and_back(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    await pair.move(call_id)
    back = Handover(pair.new.manager, CallServices())
    await until(lambda: back.movable() == [call_id])
    snapshot, descriptors = back.suspend(call_id)
    descriptors = [os.dup(one) for one in descriptors]
    Adoption(pair.old.manager, CallServices(), pair.restorer.all()).adopt(snapshot, descriptors)
    await back.abandon(call_id)
    assert pair.old.manager.running(call_id).machine.state is State.ACTIVE
    assert pair.new.manager.running(call_id) is None


async def test_a_call_that_nobody_takes_goes_on(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    pair.handover.suspend(call_id)
    pair.near.emit(events.LegHeld(NEAR))
    runner.dispatch(events.CallUsed())
    told = len(pair.old.happened)
    pair.handover.resume(call_id)
    assert pair.far.done == pair.near.done == ["suspend", "resume"]
    assert pair.old.happened[told:] == ["leg.held"]
    runner.dispatch(events.HoldRequested(held=True))
    assert runner.machine.state is State.HELD
    assert pair.handover.movable() == [call_id]


async def test_requests_are_to_be_repeated_while_a_call_moves_and_after_it(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    snapshot, descriptors = pair.offer(call_id)
    with pytest.raises(CallMoving) as refused:
        runner.dispatch(events.HoldRequested(held=True))
    assert (refused.value.status, refused.value.retry_after) == (503, 1)
    pair.adoption.adopt(snapshot, descriptors)
    await pair.handover.abandon(call_id)
    with pytest.raises(CallMoving):
        runner.add_leg(pair.leg("late"), LegRole(Party.NEAR))
    assert pair.handover.movable() == []


async def test_a_time_limit_that_passes_meanwhile_is_kept_by_the_other_process(pair):
    runner = await pair.talk()
    deadline = runner.machine.deadline()
    snapshot, descriptors = pair.offer(runner.facts.call_id)
    runner.dispatch(events.TimePassed())
    assert runner.live
    pair.adoption.adopt(snapshot, descriptors)
    await pair.handover.abandon(runner.facts.call_id)
    assert pair.new.manager.running(runner.facts.call_id).machine.deadline() == deadline


@pytest.mark.parametrize("how", ["check", "suspend"])
async def test_a_call_stays_whole_if_one_of_its_legs_cannot_move(pair, how):
    runner = await pair.talk()
    pair.near.refuses = how
    assert pair.handover.movable() == ([] if how == "check" else [runner.facts.call_id])
    with pytest.raises(HandoverRefused):
        pair.handover.suspend(runner.facts.call_id)
    assert pair.far.done == ([] if how == "check" else ["suspend", "resume"])
    runner.dispatch(events.HoldRequested(held=True))
    assert runner.machine.state is State.HELD


async def test_a_call_with_a_leg_of_a_kind_that_cannot_move_stays(pair):
    runner = await pair.talk()
    runner.add_leg(pair.old.leg(LegId("tap")), LegRole(Party.SERVICE))
    assert pair.handover.movable() == []
    with pytest.raises(HandoverRefused, match="cannot move"):
        pair.handover.suspend(runner.facts.call_id)


async def test_a_call_stays_while_a_services_work_for_it_cannot_move(pair):
    runner = await pair.talk()
    pair.works[0].refuses = "check"
    assert pair.handover.movable() == []
    with pytest.raises(HandoverRefused, match="not now"):
        pair.handover.suspend(runner.facts.call_id)
    assert pair.works[0].told == []


async def test_a_services_work_moves_with_its_call(pair):
    runner = await pair.talk()
    pair.works[0].of[runner.facts.call_id] = 7
    await pair.move(runner.facts.call_id)
    assert pair.works[0].told == ["suspend", "abandon"]
    assert (pair.works[0].of, pair.works[1].of) == ({}, {runner.facts.call_id: 7})


async def test_work_that_is_not_taken_over_goes_on_where_it_was(pair):
    runner = await pair.talk()
    call_id = runner.facts.call_id
    pair.works[0].of[call_id] = 7
    pair.works[1].refuses = "restore"
    snapshot, descriptors = pair.offer(call_id)
    with pytest.raises(HandoverRefused, match="not here"):
        pair.adoption.adopt(snapshot, descriptors)
    pair.handover.resume(call_id)
    assert pair.works[0].told == ["suspend", "resume"]
    assert pair.works[0].of == {call_id: 7}
    assert (pair.works[1].of, pair.works[1].told) == ({}, ["abandon"])
    assert list(pair.new.manager.calls()) == []
    for one in descriptors:
        os.close(one)


async def test_work_of_a_service_that_the_successor_does_not_have_stays(pair):
    runner = await pair.talk()
    pair.works[0].of[runner.facts.call_id] = 7
    snapshot, descriptors = pair.offer(runner.facts.call_id)
    other = Adoption(pair.new.manager, CallServices(), pair.restorer.all())
    with pytest.raises(HandoverRefused, match="work"):
        other.adopt(snapshot, descriptors)
    pair.handover.resume(runner.facts.call_id)
    for one in descriptors:
        os.close(one)


async def test_what_changes_a_call_is_to_be_repeated_while_it_moves(pair):
    runner = await pair.talk()
    pair.handover.suspend(runner.facts.call_id)
    with pytest.raises(CallMoving), runner.suspension.kept_here():
        raise AssertionError
    with pytest.raises(CallMoving):
        runner.tag("changed too late")
    playbacks: Any = None
    with pytest.raises(CallMoving):
        await Digits(playbacks).collect(runner, DigitRules())
    assert runner.facts.details.tag == ""
    pair.handover.resume(runner.facts.call_id)
    with runner.suspension.kept_here():
        assert pair.handover.movable() == []


async def test_a_call_that_something_is_about_to_join_stays(pair):
    runner = await pair.talk()
    with runner.suspension.kept_here():
        assert pair.handover.movable() == []
        with pytest.raises(HandoverRefused, match="about to join"):
            pair.handover.suspend(runner.facts.call_id)
    assert pair.handover.movable() == [runner.facts.call_id]


async def test_what_services_have_noted_of_a_call_moves_with_it(pair):
    runner = await pair.talk()
    pair.marked[0].add(runner.facts.call_id)
    await pair.move(runner.facts.call_id)
    assert pair.marked == (set(), {runner.facts.call_id})


async def test_a_call_that_has_ended_cannot_move(pair):
    runner = await pair.talk()
    runner.dispatch(events.HangupRequested())
    with pytest.raises(HandoverRefused, match="ended"):
        pair.handover.suspend(runner.facts.call_id)
