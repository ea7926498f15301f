"""WhatsApp calls over SIP pass from one node to another with their media, and are ended over another connection."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from bridge.call.events import HangupRequested
from bridge.call.model import State
from tests.app.test_handover_whatsapp import heard_anew
from tests.support.handover.moving_calls import MovingCalls
from tests.support.inprocess import Client, settings
from tests.support.meta_sip.behaviour import SipCall
from tests.support.meta_sip.double import MetaSip
from tests.support.meta_sip.world import meta_beside
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import USER

pytestmark = [pytest.mark.call, pytest.mark.virtual_time, pytest.mark.full]


class World(NamedTuple):
    """Two nodes, the first of which has the SIP sockets and a call with a page."""

    calls: MovingCalls
    meta: Any
    call: SipCall
    call_id: str
    page: StockPeer

    async def heard(self) -> None:
        await heard_anew(self.meta, self.page)


@asynccontextmanager
async def talking(media: str, *, inbound: bool) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        beside = meta_beside(media=media, speech=tone(5, 880), repeat=True)
        meta, _, chosen = await stack.enter_async_context(beside)
        nodes = list(await stack.enter_async_context(two_nodes(settings(**chosen))))
        page = await stack.enter_async_context(StockPeer(tone(5, 440), repeat=True))
        old, new = (Client(one.bridge, one.http, data=one.folder.parent) for one in nodes)
        calls = MovingCalls(old, new)
        call_id = await _began(meta, old, inbound=inbound)
        await page.call(old.exchange(call_id))
        if inbound:
            await old.data("/call/answer", {"callId": call_id})
        else:
            await until(lambda: calls.runner(call_id).machine.state is State.RINGING)
            await meta.pick_up(meta.last)
        await until(lambda: calls.runner(call_id).machine.state is State.ACTIVE)
        world = World(calls, meta, meta.last, call_id, page)
        await world.heard()
        yield world
    assert meta.complaints == []


async def _began(meta: MetaSip, client: Client, *, inbound: bool) -> str:
    manager = client.bridge.manager
    if not inbound:
        [name] = client.bridge.lines.policies
        return (await manager.dial(name, USER)).facts.call_id
    await meta.ring()
    await until(lambda: [one for one in manager.calls() if one.live])
    return next(one.facts.call_id for one in manager.calls() if one.live)


async def end(world: World, *, meta_ends: bool) -> None:
    """End the call, over a connection that neither side had when it began."""
    runner = world.calls.runner(world.call_id)
    if world.call.inbound and world.call.link is not None:
        world.call.link.close()
    if meta_ends:
        await world.meta.hang_up(world.call)
        await until(lambda: not runner.live)
    else:
        runner.dispatch(HangupRequested())
        await until(lambda: world.meta.actions()[-1] == "terminate", timeout=20)


@pytest.mark.parametrize("inbound", [True, False])
@pytest.mark.parametrize(("media", "meta_ends"), [("sdes", False), ("dtls", False), ("sdes", True)])
async def test_a_user_and_a_page_talk_on_at_an_upgrade_and_either_side_ends_the_call(
    media, inbound, meta_ends
):
    async with talking(media, inbound=inbound) as world:
        await until(lambda: world.calls.movable() == [world.call_id])
        await world.calls.move(world.call_id)
        await world.heard()
        await end(world, meta_ends=meta_ends)


@pytest.mark.parametrize(("media", "inbound"), [("sdes", True), ("dtls", False)])
async def test_a_user_and_a_page_talk_on_after_the_death_of_a_node(media, inbound):
    async with talking(media, inbound=inbound) as world:
        await until(lambda: world.calls.copies(world.call_id))
        copy = world.calls.copy(world.call_id)
        await world.heard()
        await world.calls.crash(world.call_id, copy, silent=2.0)
        await world.heard()
        await end(world, meta_ends=False)
