"""The call service: who may start a call, who sees it, what is left of it, and how all end."""

import asyncio
from dataclasses import replace

import pytest
from typing_extensions import override

from bridge.call import events
from bridge.call.limits import CallLimits
from bridge.call.model import EndReason, LegId, LegKind, LineName, Party, State
from bridge.errors import (
    CallNotFound,
    InvalidState,
    LegNotFound,
    LimitExceeded,
    SdpError,
    Unreachable,
)
from bridge.legs.dial import DialOrder
from bridge.metrics.registry import Metrics
from bridge.node.capacity import LEGS_PER_CALL, ManagerLimits
from bridge.node.clock import Clock
from bridge.node.manager import Manager
from tests.support.fake_leg import FakeLeg
from tests.support.waiting import until

ONE, TWO = LineName("one"), LineName("two")
NUMBER = "15550100001"
LIMITS = ManagerLimits(calls=3, calls_per_line=0, kept_seconds=60.0)


class Browser(FakeLeg):
    """A WebRTC leg whose answer waits for the test's leave."""

    def __init__(self, leg_id: LegId, *, leave: asyncio.Event) -> None:
        super().__init__(leg_id, LegKind.WEBRTC)
        self.closed = False
        self._leave = leave

    async def accept(self, offer: str) -> str:
        await self._leave.wait()
        if offer == "bad":
            raise SdpError("the offer has no audio line")
        if offer == "crash":
            raise RuntimeError("a bug")
        return f"answer to {offer}"

    @override
    async def aclose(self) -> None:
        self.closed = True


class Node:
    """A manager, and every leg that it made."""

    def __init__(self, limits: ManagerLimits = LIMITS) -> None:
        self.legs: list[FakeLeg] = []
        self.browsers: list[Browser] = []
        self.unreachable = False
        self.leave = asyncio.Event()
        self.leave.set()
        self.metrics = Metrics(version="0")
        self.manager = Manager(
            dialer=self,
            webrtc=self._browser,  # type: ignore[arg-type]
            clock=Clock(asyncio.get_running_loop()),
            metrics=self.metrics,
            limits=limits,
            call_limits=CallLimits(ring_seconds=60, call_seconds=3600, alone_seconds=60),
        )

    async def dial(self, line: LineName, number: str, leg_id: LegId, order: DialOrder) -> FakeLeg:
        if self.unreachable:
            raise Unreachable("the number cannot be reached")
        return self.leg(leg_id)

    def leg(self, leg_id: LegId) -> FakeLeg:
        self.legs.append(FakeLeg(leg_id))
        return self.legs[-1]

    def figure(self, name: str) -> float:
        """Give the sum of a metric's series."""
        lines = self.metrics.render()[0].decode().splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith((name + "{", name + " "))
        )

    def _browser(self, leg_id: LegId) -> Browser:
        self.browsers.append(Browser(leg_id, leave=self.leave))
        return self.browsers[-1]


@pytest.fixture
async def node():
    made = Node()
    yield made
    made.leave.set()
    await made.manager.aclose()


async def dial(node: Node, line: LineName = ONE) -> str:
    return (await node.manager.dial(line, NUMBER)).facts.call_id


# Starting


async def test_a_dialled_call_has_its_far_leg(node):
    runner = await node.manager.dial(ONE, NUMBER)
    assert runner.legs() == node.legs
    assert [record.facts for record in await node.manager.list(ONE)] == [runner.facts]
    assert [call.machine.state for call in node.manager.calls()].count(State.INITIATED) == 1


async def test_an_unreachable_number_leaves_no_call(node):
    node.unreachable = True
    with pytest.raises(Unreachable):
        await dial(node)
    assert list(node.manager.calls()) == []
    assert node.figure("bridge_calls_started_total") == 0


async def test_a_call_that_rings_us_is_ringing(node):
    await node.manager.receive(ONE, NUMBER, node.leg)
    assert [call.machine.state for call in node.manager.calls()].count(State.RINGING) == 1


async def test_there_are_no_more_calls_than_the_limit(node):
    for _ in range(3):
        await dial(node)
    for start in (
        lambda: dial(node, TWO),
        lambda: node.manager.receive(ONE, NUMBER, node.leg),
        lambda: node.manager.open(ONE),
    ):
        with pytest.raises(LimitExceeded, match=r"limits\.calls"):
            await start()
    assert len(node.legs) == 3


async def test_the_limit_of_a_line_is_its_own():
    node = Node(replace(LIMITS, calls_per_line=1))
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
        node.manager.close(TWO, call_id, None)
    with pytest.raises(CallNotFound):
        node.manager.request(TWO, call_id, events.HangupRequested())
    with pytest.raises(CallNotFound):
        await node.manager.offer(TWO, call_id, "offer", Party.NEAR)


async def test_an_ended_call_is_known_until_its_retention_is_over(node):
    call_id = await dial(node)
    node.manager.request(ONE, call_id, events.HangupRequested())
    assert await node.manager.list(ONE) == []
    assert node.manager.record(ONE, call_id).reason is EndReason.CANCELED
    with pytest.raises(InvalidState):
        node.manager.live(ONE, call_id)
    now = asyncio.get_running_loop().time()
    node.manager.pulse(now + 59)
    node.manager.record(ONE, call_id)
    node.manager.pulse(now + 61)
    with pytest.raises(CallNotFound):
        node.manager.record(ONE, call_id)


# Offers


async def test_an_offer_adds_a_leg_to_the_call(node):
    call_id = await dial(node)
    leg_id, answer = await node.manager.offer(ONE, call_id, "offer", Party.NEAR)
    assert answer == "answer to offer"
    assert [leg.leg_id for leg in node.manager.live(ONE, call_id).legs()][1:] == [leg_id]
    assert node.figure("bridge_legs") == 2


async def test_a_bad_offer_adds_no_leg(node):
    call_id = await dial(node)
    with pytest.raises(SdpError):
        await node.manager.offer(ONE, call_id, "bad", Party.NEAR)
    assert len(node.manager.live(ONE, call_id).legs()) == 1


async def test_a_crash_while_an_offer_is_answered_frees_what_the_leg_took(node):
    call_id = await dial(node)
    with pytest.raises(RuntimeError):
        await node.manager.offer(ONE, call_id, "crash", Party.NEAR)
    assert node.browsers[0].closed


async def test_a_call_that_ends_while_an_offer_is_answered_takes_no_leg(node):
    call_id = await dial(node)
    node.leave.clear()
    offering = asyncio.create_task(node.manager.offer(ONE, call_id, "offer", Party.NEAR))
    await until(lambda: node.browsers)
    node.manager.request(ONE, call_id, events.HangupRequested())
    node.leave.set()
    with pytest.raises(InvalidState):
        await offering
    assert node.browsers[0].closed
    assert not node.browsers[0].running
    assert node.figure("bridge_legs") == 0


async def test_offers_that_are_answered_together_do_not_pass_the_limit_of_legs(node):
    call_id = await dial(node)
    node.leave.clear()
    offers = [node.manager.offer(ONE, call_id, "offer", Party.NEAR) for _ in range(20)]
    answering = asyncio.gather(*offers, return_exceptions=True)
    await until(lambda: len(node.browsers) == 20)
    node.leave.set()
    refused = [answer for answer in await answering if isinstance(answer, LimitExceeded)]
    assert len(refused) == 21 - LEGS_PER_CALL
    assert len(node.manager.live(ONE, call_id).legs()) == LEGS_PER_CALL
    assert sum(browser.closed for browser in node.browsers) == len(refused)


async def test_a_second_far_party_is_refused_and_freed(node):
    call_id = (await node.manager.open(ONE)).facts.call_id
    await node.manager.offer(ONE, call_id, "offer", Party.FAR)
    with pytest.raises(InvalidState):
        await node.manager.offer(ONE, call_id, "offer", Party.FAR)
    assert [browser.closed for browser in node.browsers] == [False, True]


async def test_a_further_offer_needs_a_browsers_leg(node):
    call_id = await dial(node)
    for leg_id in ("leg_0", node.legs[0].leg_id):
        with pytest.raises(LegNotFound):
            await node.manager.reoffer(ONE, call_id, "offer", leg_id)


async def test_closing_a_leg_that_is_gone_does_nothing(node):
    call_id = await dial(node)
    await node.manager.offer(ONE, call_id, "offer", Party.NEAR)
    for _ in range(2):
        node.manager.close(ONE, call_id, None)
    assert len(node.manager.live(ONE, call_id).legs()) == 1
    node.manager.request(ONE, call_id, events.HangupRequested())
    node.manager.close(ONE, call_id, None)


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
    await node.manager.receive(TWO, NUMBER, lambda leg_id: slow)
    await asyncio.sleep(0)
    await node.manager.aclose()
    assert said.is_set()


async def test_the_metrics_hear_of_every_call_and_leg(node):
    call_id = await dial(node)
    assert node.figure("bridge_legs") == 1
    node.manager.pulse(0.0)
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
