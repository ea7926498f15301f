"""WhatsApp calls that both sides hang up at once, in a hundred ways."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from bridge.call.model import EndReason
from tests.calls.whatsapp.test_cloud import World, is_state
from tests.calls.whatsapp.test_cloud_races import (
    answer,
    assert_nothing_left,
    limited,
    nothing_live,
    runner_of,
    work,
)
from tests.support.clients.event_stream import listening
from tests.support.peers.meta_peer import LightMeta
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import DoubleCall

pytestmark = pytest.mark.call

AT_ONCE = 20
THEIRS = {EndReason.REMOTE_HANGUP, EndReason.NO_ANSWER}
OURS = {EndReason.HANGUP, EndReason.CANCELED, EndReason.REJECTED}
AFTER = 1200
"""The seed of a call that rings once all is over."""
SECONDS = 0.03
"""Within which all of them hang up."""


@dataclass
class Way:
    """One call, and how it is ended."""

    seed: int
    call_id: str
    user: DoubleCall
    chance: random.Random


async def bring(meta: World, seed: int) -> Way:
    """Bring a call to where it is to be hung up."""
    number, inbound = f"1555020{seed:04}", bool(seed % 2)
    stage = ("ringing", "answering", "active")[seed // 2 % 3]
    if inbound:
        user = await meta.graph.ring(user=number)
        await until(lambda: runner_of(meta, user))
        call_id = runner_of(meta, user).facts.call_id
        await until(lambda: "pre_accept" in user.actions)
    else:
        call_id = await meta.client.dial(number)
        user = next(call for call in meta.graph.calls.values() if call.user == number)
        await until_answer(lambda: is_state(meta, call_id, "ringing"))
    if stage != "ringing":
        await answer(meta, call_id, user)
    if stage == "active":
        await until_answer(lambda: is_state(meta, call_id, "active"), timeout=10)
    return Way(seed, call_id, user, random.Random(seed))


async def hang_up(meta: World, way: Way) -> None:
    """Let the user hang up, and two of ours."""

    async def after(act):
        await asyncio.sleep(way.chance.uniform(0, SECONDS))
        return await act

    end = {"callId": way.call_id}
    first, second, _ = await asyncio.gather(
        after(meta.client.post("/call/hangup", end)),
        after(meta.client.post("/call/hangup", end)),
        after(meta.graph.hang_up(way.user)),
    )
    assert sorted((first.status, second.status)) in ([200, 404], [404, 404]), way


async def check(meta: World, way: Way) -> None:
    """Meta was told of the end at most once, and not when it told us."""
    reason = (await meta.client.quality(way.call_id))["endReason"]
    goodbyes = [word for word in way.user.actions if word in {"reject", "terminate"}]
    assert reason in THEIRS | OURS, way
    assert len(goodbyes) <= (reason in OURS), way
    assert way.user.state == "ENDED", way
    assert len(way.user.actions) == len(set(way.user.actions)), way


@one_node_only  # no request of these is passed on
@pytest.mark.parametrize("first", range(0, 100, AT_ONCE))
async def test_both_sides_hang_up_at_once_and_nothing_is_left(first):
    async with limited(media=LightMeta) as meta, listening(meta.client, "/events") as stream:
        before = work()
        seeds = range(first, first + AT_ONCE)
        ways = await asyncio.gather(*(bring(meta, seed) for seed in seeds))
        await asyncio.gather(*(hang_up(meta, way) for way in ways))
        await until_answer(lambda: nothing_live(meta))
        # What is told of a further call is told after everything else.
        last = await bring(meta, seed=AFTER)
        await meta.graph.hang_up(last.user)
        while (await stream.until_type("call.ended"))["callId"] != last.call_id:
            pass
        await asyncio.gather(*(way.user.media.aclose() for way in (*ways, last)))
        await assert_nothing_left(meta, before, ends=AT_ONCE + 1)
        for way in ways:
            await check(meta, way)
        ended = Counter(told["callId"] for told in stream.heard if told["type"] == "call.ended")
        assert ended == {way.call_id: 1 for way in (*ways, last)}
