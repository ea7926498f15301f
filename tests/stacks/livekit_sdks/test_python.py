"""LiveKit's Python SDK, unchanged, as a party of calls."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.settings.model import Simulator
from tests.stacks.livekit_sdks.link import link
from tests.stacks.livekit_sdks.party import (
    heard_tone,
    join,
    near_legs,
    party,
    silence,
    told,
    until_loud,
    until_quiet,
)
from tests.support.inprocess import Client, running, settings
from tests.support.waiting import until, until_answer

ECHO, BUSY = "15550100001", "15550100004"
MAX_GAP, SECONDS = 0.06, 4.0

pytestmark = [pytest.mark.livekit, pytest.mark.call]


@asynccontextmanager
async def talking(folder: Any, **more: Any):
    """Call the contact that echoes, and join and speak as the near party."""
    async with running() as client, party("python", folder) as sdk:
        call_id = await client.dial(ECHO)
        await join(client, call_id, sdk, **more)
        await sdk.ask("publish", hertz=440.0)
        yield client, call_id, sdk


@pytest.mark.parametrize("single", [True, False], ids=["one connection", "two connections"])
async def test_it_is_heard_and_hears_and_mutes_reach_both_sides(single, tmp_path):
    async with talking(tmp_path, single=single) as (client, call_id, sdk):
        await heard_tone(sdk, 440.0)
        await sdk.ask("mute", muted=True)
        await until(lambda: near_legs(client, call_id)[0].muted)
        await until_quiet(sdk)
        await sdk.ask("mute", muted=False)
        await until(lambda: not near_legs(client, call_id)[0].muted)
        await until_loud(sdk)
        for muted in (True, False):
            await client.data("/call/mute", {"callId": call_id, "muted": muted})
            await told(sdk, "track_muted" if muted else "track_unmuted", "alice", times=2)
        await until_loud(sdk)


async def test_two_of_them_talk_with_each_other_and_the_end_is_told(tmp_path):
    async with running() as client:
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        async with party("python", tmp_path) as near, party("python", tmp_path) as far:
            await join(client, call_id, near)
            await join(client, call_id, far, side="far", identity="bob")
            await near.ask("publish", hertz=440.0)
            await far.ask("publish", hertz=1000.0)
            await heard_tone(near, 1000.0)
            await heard_tone(far, 440.0)
            await far.ask("leave")
            assert "ROOM_DELETED" in await told(near, "disconnected")
            assert (await client.quality(call_id))["endReason"] == "remote_hangup"


async def test_a_cut_websocket_is_resumed_with_the_same_leg_and_no_gap(tmp_path):
    async with running() as client, party("python", tmp_path) as sdk:
        call_id = await client.dial(ECHO)
        async with link(str(client.http.make_url("/"))) as between:
            await join(client, call_id, sdk, url=between.url)
            await sdk.ask("publish", hertz=440.0)
            await until_loud(sdk)
            [before] = near_legs(client, call_id)
            async with asyncio.TaskGroup() as group:
                hearing = group.create_task(sdk.hear(SECONDS))
                await asyncio.sleep(0.3)
                between.cut()
            assert silence(hearing.result(), SECONDS) < MAX_GAP
            await told(sdk, "reconnected")
            assert between.opened == 2
            assert [leg.leg_id for leg in near_legs(client, call_id)] == [before.leg_id]


async def test_a_session_that_the_bridge_has_lost_is_joined_anew(tmp_path):
    async with running() as client, party("python", tmp_path) as sdk:
        call_id = await client.dial(ECHO)
        async with link(str(client.http.make_url("/"))) as between:
            await join(client, call_id, sdk, url=between.url)
            await sdk.ask("publish", hertz=440.0)
            await until_loud(sdk)
            [before] = near_legs(client, call_id)
            between.cut()
            await client.post("/call/webrtc/close", {"callID": call_id})
            await until_answer(lambda: _another(client, call_id, before.leg_id))
            await until_loud(sdk)


async def _another(client: Client, call_id: str, leg_id: str) -> bool:
    return [leg for leg in near_legs(client, call_id) if leg.leg_id != leg_id] != []


async def test_it_sees_a_busy_party_ring_and_is_told_that_it_was_rejected(tmp_path):
    chosen = settings(simulator=Simulator(ring_seconds=3.0))
    async with running(chosen) as client, party("python", tmp_path) as sdk:
        await sdk.ask("events")  # it has started
        call_id = await client.dial(BUSY)
        [[_, _, attributes]] = (await join(client, call_id, sdk))["others"]
        assert attributes["sip.callStatus"] == "ringing"
        assert "USER_REJECTED" in await told(sdk, "disconnected")
        await told(sdk, "participant_attributes_changed", "sip.callStatus=hangup")
        assert (await client.quality(call_id))["endReason"] == "busy"
