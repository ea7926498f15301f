"""Telephone calls pass from one node to another, whichever of them has the SIP sockets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest

from bridge.call.model import CallDetails, LineName, Parties
from bridge.legs.base import Leg
from bridge.legs.simulator import TELEPHONE
from bridge.settings.model import Sip
from bridge.sip.boundary import Target
from bridge.trunk.agent import SipAgent
from bridge.trunk.shared import LOCK_SECONDS
from bridge.trunk.trunk import TrunkAddress
from tests.app.test_handover import TONE, heard_anew
from tests.calls.telephone.test_trunk import BRANCH, OFFICE, line, one, ringing
from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.inprocess import Client, settings
from tests.support.machine import free_port
from tests.support.peers.stock_peer import StockPeer
from tests.support.two_nodes import Node, two_nodes
from tests.support.waiting import until, until_answer

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

FULL = pytest.mark.full


class World(NamedTuple):
    """Two nodes of the office, of which one has a call with the branch, and a page at each end."""

    calls: MovingCalls
    branch: Client
    nodes: list[Node]
    call_id: str
    """Of the office."""
    there: str
    """Of the branch."""
    pages: tuple[StockPeer, StockPeer]

    async def heard(self) -> None:
        """Wait until both pages hear each other."""
        for page in self.pages:
            await heard_anew(page)


@asynccontextmanager
async def talking(
    *, owner: int = 0, inbound: bool = False, transport: str = "udp", **sip
) -> AsyncIterator[World]:
    """Let a page at the office talk with one at the branch; the node `owner` has the call."""
    here, there = free_port(), free_port()
    chosen = settings(
        lines={"office": line(OFFICE, there, transport, **sip)},
        sip=Sip(listen=[f"{transport}:127.0.0.1:{here}"]),
    )
    async with AsyncExitStack() as stack:
        branch = await stack.enter_async_context(one(BRANCH, there, here, transport, **sip))
        nodes = list(await stack.enter_async_context(two_nodes(chosen)))
        pages = [await stack.enter_async_context(StockPeer(TONE, repeat=True)) for _ in range(2)]
        in_order = [nodes[owner], nodes[1 - owner]]
        old, new = (Client(node.bridge, node.http, data=node.folder.parent) for node in in_order)
        calls = MovingCalls(old, new)
        if inbound:
            far = await branch.dial(OFFICE, channel="pstn")
            call_id = (await ringing(old))["callId"]
            await old.data("/call/answer", {"callId": call_id})
        else:
            [name] = nodes[0].bridge.lines.policies
            details = CallDetails(Parties(to_channel="pstn"))
            runner = await old.bridge.manager.dial(LineName(name), BRANCH, details)
            call_id, far = runner.facts.call_id, (await ringing(branch))["callId"]
            await branch.data("/call/answer", {"callId": far})
        for page, client, call in zip(pages, (old, branch), (call_id, far), strict=True):
            await client.until_state(call, "active")
            await page.call(client.exchange(call))
        world = World(calls, branch, in_order, call_id, far, (pages[0], pages[1]))
        await world.heard()
        yield world


async def move(world: World) -> None:
    await until(lambda: world.calls.movable() == [world.call_id])
    await world.calls.move(world.call_id)
    await world.heard()


@pytest.mark.parametrize(
    ("owner", "inbound"),
    [(0, False), pytest.param(1, False, marks=FULL), pytest.param(0, True, marks=FULL)],
    ids=["we called", "without the sockets", "they called"],
)
async def test_both_sides_talk_on_and_the_far_one_hangs_up(owner, inbound):
    async with talking(owner=owner, inbound=inbound) as world:
        told = world.calls.events
        for _ in range(2):
            await move(world)
        await move(world)
        assert world.calls.events == told
        runner = world.calls.runner(world.call_id)
        await world.branch.data("/call/hangup", {"callId": world.there})
        await until(lambda: not runner.live)
        assert runner.record().reason == "remote_hangup"
        assert world.calls.events.count("call.ended") == 1


@pytest.mark.parametrize(
    "inbound", [pytest.param(False, marks=FULL), True], ids=["we called", "they called"]
)
async def test_our_side_hangs_up_after_the_move(inbound):
    async with talking(inbound=inbound) as world:
        await move(world)
        await world.calls.client.data("/call/hangup", {"callId": world.call_id})
        await world.branch.until_state(world.there, "gone")
        assert world.calls.events.count("call.ended") == 1


@pytest.mark.parametrize("transport", ["udp", pytest.param("tcp", marks=FULL)])
async def test_from_a_copy_of_before_a_hold_both_sides_talk_on_hold_and_hang_up(transport):
    async with talking(transport=transport) as world:
        calls = world.calls
        copy = calls.copy(world.call_id)
        [there] = [
            one for one in world.branch.bridge.manager.calls() if one.facts.call_id == world.there
        ]
        [far] = [leg for leg in there.legs() if leg.kind == "sip"]

        async def hold_and_unhold() -> None:
            await calls.client.data("/call/hold", {"callId": world.call_id})
            await until(lambda: is_held(far))
            await calls.client.data("/call/unhold", {"callId": world.call_id})
            await until(lambda: not is_held(far))

        await hold_and_unhold()  # uses numbers that the copy does not know
        await calls.crash(world.call_id, copy, silent=2.0)
        await world.heard()
        await hold_and_unhold()
        await world.heard()
        runner = calls.runner(world.call_id)
        await world.branch.data("/call/hangup", {"callId": world.there})
        await until(lambda: not runner.live)
        assert runner.record().reason == "remote_hangup"


async def test_the_far_side_holds_and_we_hold_after_the_move():
    async with talking() as world:
        await move(world)
        far = world.branch.bridge.manager.calls
        [there] = [one for one in far() if one.facts.call_id == world.there]
        await world.calls.client.data("/call/hold", {"callId": world.call_id})
        held = [leg for leg in there.legs() if leg.kind == "sip"]
        await until(lambda: is_held(held[0]))
        await world.calls.client.data("/call/unhold", {"callId": world.call_id})
        await until(lambda: not is_held(held[0]))
        await world.branch.data("/call/hold", {"callId": world.there})
        await until(lambda: (1, "leg.held") in world.calls.told)
        await world.branch.data("/call/unhold", {"callId": world.there})
        await until(lambda: (1, "leg.unheld") in world.calls.told)
        await world.heard()


def is_held(leg: Leg) -> bool:
    state = leg.statistics().transport
    return state is not None and state.held


async def test_a_held_call_moves_and_is_resumed_there():
    async with talking() as world:
        await world.calls.client.data("/call/hold", {"callId": world.call_id})
        await until(lambda: world.calls.movable() == [world.call_id])
        await world.calls.move(world.call_id)
        await world.calls.client.data("/call/unhold", {"callId": world.call_id})
        await world.heard()


async def test_keys_of_srtp_and_digits_go_on():
    async with talking(srtp="require") as world:
        await move(world)
        heard = world.branch.bridge.manager
        digits: list[str] = []
        heard.publisher.subscribe(
            lambda event: (
                digits.append(event.data["digit"]) if event.type == "digit.received" else None
            )
        )
        await world.calls.client.data("/call/dtmf", {"callId": world.call_id, "digits": "42"})
        await until(lambda: digits == ["4", "2"])


@pytest.mark.parametrize(
    ("transport", "inbound", "ours"),
    [
        ("udp", False, False),
        pytest.param("tcp", False, False, marks=FULL),
        pytest.param("tcp", False, True, marks=FULL),
        ("tcp", True, False),
        pytest.param("tcp", True, True, marks=FULL),
    ],
)
async def test_a_call_outlives_the_node_that_had_it_and_the_sockets(transport, inbound, ours):
    async with talking(transport=transport, inbound=inbound) as world:
        await move(world)
        moved = world.calls.runner(world.call_id)
        await world.nodes[0].bridge.aclose()
        sockets = world.nodes[1].bridge.node.sip_sockets
        assert sockets is not None
        await until(lambda: sockets.owns, timeout=5 * LOCK_SECONDS)
        await world.heard()
        if ours:  # by a connection that is opened again
            await world.calls.client.data("/call/hangup", {"callId": world.call_id})
            await world.branch.until_state(world.there, "gone")
        else:
            await world.branch.data("/call/hangup", {"callId": world.there})
            await until(lambda: not moved.live)
            assert moved.record().reason == "remote_hangup"


async def test_the_addresses_of_the_trunk_are_found_again_where_a_call_has_moved(monkeypatch):
    find = SipAgent.find
    async with talking() as world:
        asked: list[str] = []

        async def spy(agent: SipAgent, trunk: TrunkAddress) -> list[Target]:
            asked.append(trunk.name)
            return await find(agent, trunk)

        monkeypatch.setattr(SipAgent, "find", spy)
        await move(world)
        assert asked == ["office"]


async def test_a_telephone_call_that_nobody_takes_goes_on():
    async with talking() as world:
        runner = world.calls.runner(world.call_id)
        world.calls.suspend_and_resume(world.call_id)
        await world.heard()
        await world.branch.data("/call/hangup", {"callId": world.there})
        await until(lambda: not runner.live)


async def test_a_bye_that_comes_while_the_call_moves_ends_it_there():
    async with talking() as world:
        await until(lambda: world.calls.movable() == [world.call_id])
        runner = world.calls.runner(world.call_id)
        handover = world.calls.handovers[0]
        handover.suspend(runner.facts.call_id)
        await world.branch.data("/call/hangup", {"callId": world.there})
        assert runner.live
        handover.resume(runner.facts.call_id)
        await until_answer(lambda: ended(world))


async def ended(world: World) -> bool:
    return await world.calls.client.state(world.call_id) == "gone"


async def test_a_simulated_telephone_stays():
    async with moving_calls() as calls:
        call_id = await calls.client.dial(TELEPHONE.number, channel="pstn")
        await calls.client.until_state(call_id, "active")
        assert calls.movable() == []
