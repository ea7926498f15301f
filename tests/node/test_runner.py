"""A call at work, with legs that do what the test says."""

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from bridge.call import events
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LegKind,
    LineName,
    Party,
    State,
)
from bridge.call.routing import LegRole
from bridge.errors import InvalidState, LegError, LimitExceeded
from bridge.log import call_id as log_call_id
from bridge.metrics.registry import Metrics
from bridge.node.clock import Clock
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType
from tests.support.fake_leg import FakeLeg
from tests.support.published import Published
from tests.support.waiting import until

FACTS = CallFacts(CallId("00AB"), LineName("line"), "15550100001", datetime.now(UTC))


class Observed(Published):
    """What the runner publishes, and how often it reports its end."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[CallRecord] = []

    @property
    def calls_ended(self) -> int:
        return len(self.records)

    def call_ended(self, runner: CallRunner) -> None:
        self.records.append(runner.record())

    @property
    def ended(self) -> dict[object, object]:
        """The reasons of the legs that have left."""
        return {left["legID"]: left["reason"] for left in self.of("leg.left")}


def make(observed: Observed, *, ring_seconds: float = 60) -> CallRunner:
    loop = asyncio.get_running_loop()
    machine = CallMachine(
        direction=Direction.OUTBOUND,
        limits=CallLimits(ring_seconds=ring_seconds, call_seconds=3600, abandoned_seconds=60),
        now=loop.time(),
    )
    return CallRunner(
        FACTS,
        machine,
        clock=Clock(loop),
        metrics=Metrics(version="0"),
        publisher=observed.publisher,
        on_ended=observed.call_ended,
    )


async def started(leg: FakeLeg) -> FakeLeg:
    await until(lambda: leg.running)
    return leg


async def active_call(observed: Observed) -> tuple[CallRunner, FakeLeg, FakeLeg]:
    runner = make(observed)
    far, near = FakeLeg("far"), FakeLeg("near", LegKind.WEBRTC)
    runner.add_leg(far, LegRole(Party.FAR))
    runner.add_leg(near, LegRole(Party.NEAR))
    await started(far)
    await started(near)
    far.emit(events.LegAnswered(far.leg_id))
    far.emit(events.LegConnected(far.leg_id))
    near.emit(events.LegConnected(near.leg_id))
    return runner, far, near


async def test_hanging_up_cancels_every_leg_and_frees_all():
    observed = Observed()
    runner, far, near = await active_call(observed)
    runner.dispatch(events.HangupRequested())
    assert not runner.live
    await runner.wait_cleaned()
    assert far.cancelled
    assert near.cancelled
    assert observed.calls_ended == 1
    assert observed.ended == {"far": EndReason.HANGUP, "near": EndReason.HANGUP}


async def test_a_far_leg_that_ends_by_itself_ends_the_call_and_is_left_to_finish():
    observed = Observed()
    runner, far, near = await active_call(observed)

    async def leave(emit) -> None:
        emit(events.LegEnded(far.leg_id, EndReason.REMOTE_HANGUP))
        far.cleaned = True

    far.emit(events.LegEnded(far.leg_id, EndReason.REMOTE_HANGUP))
    far.finish()
    await runner.wait_cleaned()
    assert near.cancelled
    assert runner.machine.reason is EndReason.REMOTE_HANGUP


async def test_a_leg_that_crashes_is_logged_and_ends_alone(caplog):
    observed = Observed()
    runner, _far, near = await active_call(observed)
    near.fails_with = RuntimeError("boom")
    with caplog.at_level(logging.ERROR):
        near.finish()
        await until(lambda: near.leg_id not in {leg.leg_id for leg in runner.legs()})
    assert "leg.failed" in caplog.text
    assert runner.live
    assert observed.ended == {"near": EndReason.FAILED}
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()


async def test_digits_go_to_the_far_leg():
    runner, far, near = await active_call(Observed())
    near.emit(events.DigitReceived(near.leg_id, "7"))
    assert far.digits == "7"
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()


async def test_audio_flows_between_the_legs_of_an_active_call():
    from bridge.audio.frame import SILENCE, Frame

    runner, far, near = await active_call(Observed())
    assert near.to is not None
    near.to(Frame(SILENCE, 0, "near"), 0.0)
    assert len(far.heard) == 1
    runner.dispatch(events.MuteRequested(muted=True))
    assert near.to is None
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()


async def test_an_event_that_comes_while_one_is_handled_waits_its_turn():
    observed = Observed()
    runner = make(observed)
    far = FakeLeg("far")
    # Answering the leg makes it report at once, in the middle of the command.
    far.answer = lambda: far.emit(events.LegConnected(far.leg_id))  # type: ignore[method-assign]
    runner.machine.direction = Direction.INBOUND
    runner.machine.state = State.RINGING
    runner.add_leg(far, LegRole(Party.FAR))
    await started(far)
    runner.dispatch(events.AnswerRequested())
    assert runner.machine.state is State.ACTIVE
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()


async def test_a_call_that_nobody_answers_ends_by_its_timer():
    observed = Observed()
    runner = make(observed, ring_seconds=0.01)
    far = FakeLeg("far")
    runner.add_leg(far, LegRole(Party.FAR))
    await until(lambda: not runner.live)
    assert runner.machine.reason is EndReason.NO_ANSWER
    [record] = observed.records
    assert record.timed_out
    await runner.wait_cleaned()
    assert far.cleaned or not far.running


async def test_a_record_says_when_each_leg_joined_and_left_and_that_no_limit_ended_the_call():
    observed = Observed()
    runner, _, _ = await active_call(observed)
    await asyncio.sleep(0.01)
    assert all(leg.left is None for leg in runner.record().legs)
    runner.dispatch(events.HangupRequested())
    [record] = observed.records
    assert not record.timed_out
    for leg in record.legs:
        assert leg.left is not None
        assert 0.0 <= leg.joined < leg.left <= record.seconds
    await runner.wait_cleaned()


async def test_a_leg_that_is_ended_before_its_first_step_still_frees_what_it_holds():
    runner = make(Observed())
    far = FakeLeg("far")
    runner.add_leg(far, LegRole(Party.FAR))
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()
    assert far.cleaned


async def test_a_call_that_has_ended_takes_no_leg():
    observed = Observed()
    runner = make(observed)
    runner.dispatch(events.HangupRequested())
    with pytest.raises(InvalidState):
        runner.add_leg(FakeLeg("late"), LegRole(Party.NEAR))
    assert runner.legs() == []
    assert observed.types == []


@pytest.mark.parametrize(
    ("reason", "kind"), [(EndReason.DRAINED, LimitExceeded), (EndReason.HANGUP, LegError)]
)
async def test_a_dial_fails_if_the_call_ends_before_its_provider_accepts(reason, kind):
    runner = make(Observed())
    far = FakeLeg("far", dials=True)
    far.answers = asyncio.Event()
    dialling = asyncio.create_task(runner.dial(far, LegRole(Party.FAR)))
    await started(far)
    runner.dispatch(events.HangupRequested(reason))
    with pytest.raises(kind):
        await dialling
    await runner.wait_cleaned()


async def test_a_leg_the_call_refuses_leaves_nothing_on_the_bus():
    runner, _far, _near = await active_call(Observed())
    second = FakeLeg("second", LegKind.WEBRTC)
    with pytest.raises(InvalidState):
        runner.add_leg(second, LegRole(Party.FAR))
    assert runner.leg(second.leg_id) is None
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()


async def test_the_record_keeps_the_figures_of_legs_that_left():
    runner, _far, near = await active_call(Observed())
    near.emit(events.LegEnded(near.leg_id, EndReason.REMOTE_HANGUP))
    near.finish()
    legs = {leg.leg_id for leg in runner.record().legs}
    assert legs == {"far", "near"}
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()


async def test_a_failed_event_does_not_stop_the_next():
    runner, _far, _near = await active_call(Observed())
    with pytest.raises(InvalidState):
        runner.dispatch(events.AnswerRequested())
    runner.dispatch(events.HangupRequested())
    assert not runner.live
    await runner.wait_cleaned()


async def test_log_lines_of_a_call_carry_its_id():
    named: list[tuple[str, str]] = []
    logger = logging.getLogger("bridge.node.runner")
    handler = logging.Handler()
    handler.emit = lambda record: named.append(  # type: ignore[method-assign]
        (record.getMessage(), log_call_id.get())
    )
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        runner, _far, _near = await active_call(Observed())
        named.clear()
        runner.dispatch(events.HangupRequested())
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert named == [(name, FACTS.call_id) for name in ("call.state", "leg.ended", "leg.ended")]
    assert log_call_id.get() == ""
    await runner.wait_cleaned()


async def test_what_happens_to_a_call_is_published_in_order():
    observed = Observed()
    runner, _far, near = await active_call(observed)
    near.emit(events.LegReported(near.leg_id, EventType.PLAYBACK_STARTED, {"id": "1"}))
    runner.dispatch(events.HoldRequested(held=True))
    runner.dispatch(events.HoldRequested(held=False))
    runner.dispatch(events.HangupRequested())
    await runner.wait_cleaned()
    assert observed.types == [
        "leg.joined",
        "leg.joined",
        "call.answered",
        "call.connecting",
        "call.active",
        "leg.connected",
        "leg.connected",
        "playback.started",
        "call.held",
        "call.resumed",
        "leg.left",
        "leg.left",
    ]


async def test_nothing_is_published_of_a_leg_that_has_left():
    observed = Observed()
    runner, far, near = await active_call(observed)
    runner.dispatch(events.HangupRequested())
    published = len(observed.types)
    near.emit(events.LegConnected(near.leg_id))
    far.emit(events.DigitReceived(far.leg_id, "1"))
    assert len(observed.types) == published
    await runner.wait_cleaned()


async def test_a_subscriber_finds_the_call_as_it_stands_after_the_change_and_may_end_it():
    observed = Observed()
    states: list[State] = []

    def hang_up(event: CallEvent) -> None:
        if event.type == EventType.CALL_ANSWERED:
            states.append(runner.machine.state)
            runner.dispatch(events.HangupRequested())

    observed.publisher.subscribe(hang_up)
    runner = make(observed)
    far = FakeLeg("far")
    runner.add_leg(far, LegRole(Party.FAR))
    await started(far)
    far.emit(events.LegAnswered(far.leg_id))
    assert states == [State.CONNECTING]
    assert observed.types == ["leg.joined", "call.answered", "call.connecting", "leg.left"]
    await runner.wait_cleaned()
