"""WhatsApp calls whose sides act at once, that are refused, and that the bridge's end cuts off."""

import asyncio
import random
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import bridge
from bridge.call.model import EndReason
from bridge.db.database import Connection
from bridge.settings.model import Limits, Rtc
from tests.calls.whatsapp.test_cloud import World, cloud_line, is_state, world
from tests.support.inprocess import free_udp_ports, running, settings
from tests.support.peers.light_peer import LightPeer
from tests.support.peers.meta_peer import LightMeta
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import USER, DoubleCall, GraphDouble
from tests.support.whatsapp.graph_webhooks import terminate_value

pytestmark = pytest.mark.call

OWN = str(Path(bridge.__file__).parent)


@asynccontextmanager
async def limited(*, ports: int = 40, media=None, **limits):
    """As `world`, with other limits and other media of Meta's."""
    async with GraphDouble(media=media) as graph:
        first = free_udp_ports(ports)
        chosen = settings(
            lines={"main": cloud_line(graph)},
            limits=Limits(overload_seconds=0.0, **limits),
            rtc=Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + ports - 1}"),
        )
        async with running(chosen) as client:
            graph.webhook = str(client.http.make_url("/whatsapp/webhook"))
            graph.webhooks.rings = str(client.owner.make_url("/whatsapp/webhook"))
            yield World(client, graph)
            await graph.wait_idle()
    assert graph.complaints == []


def runner_of(meta: World, call: DoubleCall):
    """The bridge's side of a call at Meta's; None while there is none."""
    for runner in meta.client.bridge.manager.calls():
        if any(getattr(leg, "wacid", "") == call.wacid for leg in runner.legs()):
            return runner
    return None


def work() -> set[asyncio.Task[Any]]:
    """The tasks of the bridge's own code."""
    codes = {task: getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()}
    return {task for task, code in codes.items() if code and code.co_filename.startswith(OWN)}


async def never_told(meta: World) -> list[str]:
    """The calls whose end Meta does not know of, for all that the bridge has written down."""
    database = meta.client.bridge.events.database
    await database.flush()

    def find(connection: Connection) -> list[str]:
        # A call is kept under its line's name and Meta's id.
        found = connection.execute("SELECT wacid FROM whatsapp_calls WHERE ended_at IS NULL")
        return [key.partition("\n")[2] for (key,) in found]

    return await database.run(find)


async def assert_nothing_left(
    meta: World, before: set[asyncio.Task[Any]], *, ends: int = 1
) -> None:
    """No live call, no port, no task, and as many ends as calls."""
    assert await meta.client.calls() == []
    await until(lambda: meta.client.ports.used == 0)
    await until(lambda: work() <= before)
    assert not meta.client.bridge.lines.cloud.calls
    assert await never_told(meta) == []
    assert await meta.client.total("bridge_calls_ended_total") == ends


async def begin(meta: World, *, inbound: bool) -> tuple[str, DoubleCall]:
    """A call that rings."""
    if inbound:
        user = await meta.graph.ring()
        return (await meta.call())["callId"], user
    call_id = await meta.client.dial(USER)
    await until_answer(lambda: is_state(meta, call_id, "ringing"))
    return call_id, meta.graph.last


async def answer(meta: World, call_id: str, user: DoubleCall) -> None:
    if user.inbound:
        await meta.client.data("/call/answer", {"callId": call_id})
    else:
        await meta.graph.pick_up(user)


# One side while the other is at it


@pytest.mark.parametrize("seed", range(6))
async def test_the_user_gives_up_while_the_call_is_answered(seed):
    chance = random.Random(seed)
    async with world() as meta:
        before = work()
        meta.graph.slow_seconds["accept"] = chance.uniform(0, 0.03)
        call_id, user = await begin(meta, inbound=True)
        asked = asyncio.create_task(meta.client.post("/call/answer", {"callId": call_id}))
        await asyncio.sleep(chance.uniform(0, 0.03))
        await meta.graph.hang_up(user)
        assert (await asked).status in {200, 404, 409}
        await until_answer(lambda: is_state(meta, call_id, "gone"))
        reason = (await meta.client.quality(call_id))["endReason"]
        assert reason in {EndReason.CANCELED, EndReason.REMOTE_HANGUP, EndReason.FAILED}
        await user.media.aclose()
        await assert_nothing_left(meta, before)


async def test_a_call_hung_up_while_meta_takes_the_answer_is_ended_at_metas():
    async with world() as meta:
        before = work()
        meta.graph.slow_seconds["accept"] = 0.3
        call_id, user = await begin(meta, inbound=True)
        await answer(meta, call_id, user)
        await until(lambda: "accept" in user.actions)
        await meta.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: user.state == "ENDED")
        assert user.actions[-1] == "terminate"
        await user.media.aclose()
        await assert_nothing_left(meta, before)


async def test_a_refusal_told_after_the_end_in_one_delivery_is_a_refusal():
    async with world() as meta:
        call_id, user = await begin(meta, inbound=False)
        user.state = "ENDED"
        status = {"id": user.wacid, "type": "call", "status": "REJECTED", "timestamp": "1"}
        both = terminate_value(user) | {"statuses": [status]}
        await meta.graph.tell(both)
        await until_answer(lambda: is_state(meta, call_id, "gone"))
        assert (await meta.client.quality(call_id))["endReason"] == EndReason.REJECTED
        assert await never_told(meta) == []


# Many at once


async def one_of_many(meta: World, number: int) -> None:
    """Ring, be answered, connect, and end; every other one is ended by the user."""
    user = await meta.graph.ring()
    await until(lambda: runner_of(meta, user), timeout=20)
    call_id = runner_of(meta, user).facts.call_id
    await user.media.wait_connected(30)
    await answer(meta, call_id, user)
    await until(lambda: user.media.packets > 5, timeout=20)
    if number % 2:
        await meta.graph.hang_up(user)
    else:
        await meta.client.data("/call/hangup", {"callId": call_id})
    await until(lambda: user.state == "ENDED", timeout=20)
    await user.media.aclose()


async def test_twenty_set_ups_at_once_all_connect_and_leave_nothing():
    count = 20
    async with limited(ports=count, media=LightMeta) as meta:
        before = work()
        await asyncio.gather(*(one_of_many(meta, number) for number in range(count)))
        await until_answer(lambda: nothing_live(meta), timeout=20)
        for action in ("pre_accept", "accept"):
            assert meta.graph.actions().count(action) == count
        assert meta.graph.actions().count("terminate") == count // 2
        await assert_nothing_left(meta, before, ends=count)


async def nothing_live(meta: World) -> bool:
    return await meta.client.calls() == []


async def test_rings_beyond_the_limit_are_refused_and_the_others_ring():
    async with limited(calls=3) as meta:
        users = await asyncio.gather(*(meta.graph.ring() for _ in range(10)))
        await until(lambda: meta.graph.actions().count("reject") == 7)
        refused = [user for user in users if "reject" in user.actions]
        assert {user.state for user in refused} == {"ENDED"}
        assert len(await meta.client.calls()) == 3
        await until(lambda: meta.client.ports.used <= 3)
        left = {user.wacid for user in users} - {user.wacid for user in refused}
        assert set(await never_told(meta)) == left


async def test_a_refused_ring_makes_room_for_nobody_and_the_next_rings():
    async with limited(calls=1) as meta:
        call_id, first = await begin(meta, inbound=True)
        second = await meta.graph.ring()
        await until(lambda: second.actions == ["reject"])
        assert await meta.client.state(call_id) == "ringing"
        await meta.graph.hang_up(first)
        await until_answer(lambda: nothing_live(meta))
        third = await meta.graph.ring()
        await meta.call()
        assert "reject" not in third.actions


# The end of the bridge


async def test_the_end_of_the_bridge_tells_meta_of_every_call():
    async with world() as meta, LightPeer() as browser:
        before = work()
        live_id, live = await begin(meta, inbound=True)
        await meta.client.data("/call/answer", {"callId": live_id})
        await browser.call(meta.client.exchange(live_id))
        await until(lambda: live.state == "ACTIVE")
        ringing = await meta.graph.ring()
        await until(lambda: runner_of(meta, ringing))
        dialled_id = await meta.client.dial(USER)
        dialled = meta.graph.last
        await until_answer(lambda: is_state(meta, dialled_id, "ringing"))
        await meta.client.bridge.manager.aclose()
        for user, last in ((live, "terminate"), (ringing, "reject"), (dialled, "terminate")):
            assert user.actions[-1] == last
            assert user.actions.count(last) == 1
            assert user.state == "ENDED"
            await user.media.aclose()
        await browser.close()
        await assert_nothing_left(meta, before, ends=3)


async def test_who_rings_while_the_bridge_ends_is_refused():
    async with world() as meta:
        await meta.client.bridge.manager.aclose()
        user = await meta.graph.ring()
        await until(lambda: user.actions == ["reject"])
        await until_answer(lambda: all_told(meta))


async def all_told(meta: World) -> bool:
    return await never_told(meta) == []


async def test_a_dialled_call_that_meta_takes_while_the_bridge_ends_is_ended_at_metas():
    async with world() as meta:
        before = work()
        meta.graph.slow_seconds["connect"] = 0.3
        asked = asyncio.create_task(meta.client.post("/call/dial", {"phone": USER}))
        await until(lambda: meta.graph.calls)
        await meta.client.bridge.manager.aclose()
        assert (await asked).status == 503
        user = meta.graph.last
        await until(lambda: user.state == "ENDED")
        assert user.actions == ["terminate"]
        await user.media.aclose()
        await assert_nothing_left(meta, before, ends=0)


async def test_a_meta_that_does_not_take_the_goodbye_does_not_keep_the_bridge():
    async with world() as meta:
        _, user = await begin(meta, inbound=True)
        meta.graph.slow_seconds["reject"] = 1.2
        async with asyncio.timeout(1.1):
            await meta.client.bridge.manager.aclose()
        assert user.actions[-1] == "reject"
