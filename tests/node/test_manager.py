"""The call service: who may start a call, who sees it, what is left of it, and how all end."""

import asyncio

import msgspec
import pytest

from bridge.call import events
from bridge.call.model import CallRecord, EndReason, Party, State
from bridge.call.routing import LegRole
from bridge.errors import (
    CallNotFound,
    InvalidState,
    LegError,
    LimitExceeded,
    StillDialling,
    Unreachable,
)
from tests.support.fake_leg import FakeLeg
from tests.support.fake_node import LIMITS, NUMBER, ONE, TWO, Node, dial
from tests.support.sampling import sample_calls
from tests.support.waiting import until


@pytest.fixture
async def node():
    made = Node()
    yield made
    made.leave.set()
    await made.manager.aclose()


# Starting


async def test_a_dialled_call_has_its_far_leg(node):
    runner = await node.manager.dial(ONE, NUMBER)
    assert runner.legs() == node.legs
    assert [record.facts for record in await node.manager.list(ONE)] == [runner.facts]
    assert [call.machine.state for call in node.manager.calls()].count(State.INITIATED) == 1


async def test_a_refused_dial_leaves_an_ended_call_without_events(node):
    node.unreachable = True
    told: list[CallRecord] = []
    node.manager.on_dial_failed = told.append
    with pytest.raises(Unreachable) as refused:
        await dial(node)
    assert list(node.manager.calls()) == []
    assert node.manager.record(ONE, str(refused.value.call_id)).reason is EndReason.FAILED
    assert node.happened == []
    assert [(record.reason, len(record.legs)) for record in told] == [(EndReason.FAILED, 1)]
    assert node.figure("bridge_calls_started_total") == 0
    assert node.figure("bridge_calls_ended_total") == 0


async def dialling(node):
    """A call that its provider has not accepted yet, and the task that dials it."""
    node.accepts.clear()
    asked = asyncio.create_task(dial(node))
    await until(lambda: node.legs and node.legs[-1].running)
    [record] = await node.manager.list(ONE)
    return asked, record.facts.call_id


async def test_a_call_is_listed_while_it_is_dialled_and_published_once_it_is_accepted(node):
    asked, call_id = await dialling(node)
    assert node.manager.record(ONE, call_id).state is State.INITIATED
    assert node.happened == []
    node.accepts.set()
    assert await asked == call_id
    assert node.happened == ["call.initiated", "leg.joined"]


async def test_a_call_that_is_dialled_can_only_be_hung_up(node):
    asked, call_id = await dialling(node)
    with pytest.raises(StillDialling) as refused:
        await node.browsers.offer(node.manager.live(ONE, call_id), "offer", LegRole(Party.NEAR))
    assert (refused.value.status, refused.value.retry_after) == (503, 1)
    node.manager.request(ONE, call_id, events.HangupRequested())
    with pytest.raises(LegError, match="canceled"):
        await asked
    assert node.manager.record(ONE, call_id).reason is EndReason.CANCELED
    await until(lambda: node.legs[-1].cancelled)
    assert node.happened == []


async def test_a_call_whose_caller_cancels_the_request_is_canceled(node):
    asked, call_id = await dialling(node)
    asked.cancel()
    await until(lambda: node.legs[-1].cancelled)
    assert node.manager.record(ONE, call_id).reason is EndReason.CANCELED


async def test_a_call_rings_for_its_time_from_when_it_was_accepted(node):
    asked, call_id = await dialling(node)
    machine = node.manager._calls[call_id].machine
    assert machine.deadline() > machine.started_at + 3000
    node.accepts.set()
    await asked
    assert machine.deadline() < machine.started_at + 100


async def test_a_call_that_is_dialled_counts_against_the_limits(node):
    node.accepts.clear()
    dials = [asyncio.create_task(dial(node)) for _ in range(3)]
    await until(lambda: len(node.legs) == 3)
    with pytest.raises(LimitExceeded, match=r"limits\.calls"):
        await dial(node)
    node.accepts.set()
    await asyncio.gather(*dials)


async def test_a_party_whose_dial_is_refused_was_never_in_the_call(node):
    call_id = await dial(node)
    node.happened.clear()
    node.unreachable = True
    with pytest.raises(Unreachable) as refused:
        await node.manager.dials.invite(
            node.manager.live(ONE, call_id), NUMBER, LegRole(Party.NEAR)
        )
    assert refused.value.call_id is None
    assert node.happened == []
    assert len(node.manager.live(ONE, call_id).legs()) == 1


async def test_a_call_that_rings_us_is_ringing(node):
    await node.manager.receive(ONE, NUMBER, FakeLeg("far"))
    assert [call.machine.state for call in node.manager.calls()].count(State.RINGING) == 1


async def test_there_are_no_more_calls_than_the_limit(node):
    for _ in range(3):
        await dial(node)
    for start in (
        lambda: dial(node, TWO),
        lambda: node.manager.receive(ONE, NUMBER, FakeLeg("far")),
        lambda: node.manager.open(ONE),
    ):
        with pytest.raises(LimitExceeded, match=r"limits\.calls"):
            await start()
    assert len(node.legs) == 3


async def test_the_limit_of_a_line_is_its_own():
    node = Node(msgspec.structs.replace(LIMITS, calls_per_line=1))
    await dial(node)
    with pytest.raises(LimitExceeded, match=r"limits\.calls_per_line"):
        await dial(node)
    await dial(node, TWO)
    await node.manager.aclose()


# Whose call it is


async def test_a_line_sees_its_own_calls_only(node):
    call_id = await dial(node)
    assert await node.manager.list(TWO) == []
    for ask in (node.manager.live, node.manager.record):
        ask(ONE, call_id)
        with pytest.raises(CallNotFound):
            ask(TWO, call_id)
    with pytest.raises(CallNotFound):
        node.browsers.close(TWO, call_id, None)
    with pytest.raises(CallNotFound):
        node.manager.request(TWO, call_id, events.HangupRequested())
    with pytest.raises(CallNotFound):
        await node.browsers.offer(node.manager.live(TWO, call_id), "offer", LegRole(Party.NEAR))


async def test_an_ended_call_is_known_until_its_retention_is_over(node):
    call_id = await dial(node)
    node.manager.request(ONE, call_id, events.HangupRequested())
    assert await node.manager.list(ONE) == []
    assert node.manager.record(ONE, call_id).reason is EndReason.CANCELED
    with pytest.raises(InvalidState):
        node.manager.live(ONE, call_id)
    now = asyncio.get_running_loop().time()
    sample_calls(node.manager, now + 59)
    node.manager.record(ONE, call_id)
    sample_calls(node.manager, now + 61)
    with pytest.raises(CallNotFound):
        node.manager.record(ONE, call_id)


# The end


RINGING, ANSWERED, CONNECTED = events.LegRinging, events.LegAnswered, events.LegConnected
EVERY_STATE = [
    ((), State.INITIATED, EndReason.CANCELED),
    ((RINGING,), State.RINGING, EndReason.CANCELED),
    ((RINGING, ANSWERED), State.CONNECTING, EndReason.HANGUP),
    ((RINGING, ANSWERED, CONNECTED), State.ACTIVE, EndReason.HANGUP),
    ((CONNECTED, ANSWERED), State.ACTIVE, EndReason.HANGUP),
]


@pytest.mark.parametrize(("steps", "state", "reason"), EVERY_STATE)
@pytest.mark.parametrize("theirs", [False, True])
async def test_either_side_may_hang_up_in_every_state(node, steps, state, reason, theirs):
    call_id = await dial(node)
    leg = node.legs[0]
    await until(lambda: leg.running)
    for step in steps:
        leg.emit(step(leg.leg_id))
    assert [call.machine.state for call in node.manager.calls()].count(state) == 1
    if theirs:
        leg.emit(events.LegEnded(leg.leg_id, EndReason.REMOTE_HANGUP))
        leg.finish()
    else:
        node.manager.request(ONE, call_id, events.HangupRequested())
    assert node.manager.record(ONE, call_id).reason is (
        EndReason.REMOTE_HANGUP if theirs else reason
    )
    await until(lambda: leg.cleaned)


async def test_shutting_down_ends_every_call_and_takes_no_more(node):
    ids = [await dial(node), await dial(node, TWO)]
    await until(lambda: all(leg.running for leg in node.legs))
    await node.manager.aclose()
    assert list(node.manager.calls()) == []
    assert all(leg.cancelled for leg in node.legs)
    assert node.manager.record(ONE, ids[0]).reason is EndReason.DRAINED
    with pytest.raises(LimitExceeded, match="shutting down"):
        await dial(node)


async def test_shutting_down_waits_for_a_leg_that_takes_its_time(node):
    await dial(node)
    leg = node.legs[0]
    await until(lambda: leg.running)
    said = asyncio.Event()

    async def goodbye(emit) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            said.set()

    slow = FakeLeg("slow")
    slow.run = goodbye  # type: ignore[method-assign]
    await node.manager.receive(TWO, NUMBER, slow)
    await asyncio.sleep(0)
    await node.manager.aclose()
    assert said.is_set()


async def test_the_metrics_hear_of_every_call_and_leg(node):
    call_id = await dial(node)
    assert node.figure("bridge_legs") == 1
    sample_calls(node.manager, 0.0)
    node.manager.request(ONE, call_id, events.HangupRequested())
    assert node.figure("bridge_legs") == 0
    assert node.figure("bridge_calls_started_total") == 1
    assert node.figure("bridge_calls_ended_total") == 1


async def test_the_figures_of_an_ended_call_stay_with_its_record(node):
    call_id = await dial(node)
    await until(lambda: node.legs[0].running)
    node.legs[0].emit(events.LegEnded(node.legs[0].leg_id, EndReason.BUSY))
    record = node.manager.record(ONE, call_id)
    assert record.reason is EndReason.BUSY
    assert [leg.leg_id for leg in record.legs] == [node.legs[0].leg_id]


async def test_two_calls_never_share_an_id(node):
    assert await dial(node) != await dial(node)
