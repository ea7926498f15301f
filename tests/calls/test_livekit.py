"""LiveKit's client SDKs in whole calls: what they say and hear, mutes, how they leave, and how they come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from bridge.call.model import EndReason, State
from bridge.wire.call_id import native
from bridge.wire.livekit.models import (
    ConnectionQuality,
    DisconnectReason,
    LeaveAction,
    ParticipantState,
)
from tests.support.clients.livekit_sdk import SdkDouble
from tests.support.inprocess import Client, running
from tests.support.published import Published
from tests.support.waiting import until

ECHO = "15550100001"
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)

pytestmark = pytest.mark.call


async def token(client, call_id: str, party: str = "near", identity: str = "alice") -> str:
    answer = await client.data(f"/call/{call_id}/livekit", {"party": party, "identity": identity})
    assert answer["url"].startswith("ws://127.0.0.1:")
    return str(answer["token"])


async def begin_call(client, **changed: Any) -> str:
    """Begin a call between two pages, or as `changed`."""
    body = {"from": "alice", "to": "bob", "fromChannel": "webrtc", "toChannel": "webrtc"} | changed
    made = await client.post("/v1/calls", body)
    call_id = native((await made.json())["id"])
    assert call_id
    return call_id


@asynccontextmanager
async def echo_call() -> AsyncIterator[tuple[Client, str, SdkDouble]]:
    """Run a bridge that calls the echo contact, and an SDK for the near party, which has not joined yet."""
    async with running() as client:
        call_id = await client.dial(ECHO)
        async with SdkDouble(client.http, await token(client, call_id)) as sdk:
            yield client, call_id, sdk


def machine_of(client, call_id):
    return next(
        one.machine for one in client.bridge.manager.calls() if one.facts.call_id == call_id
    )


def near(client, call_id):
    return machine_of(client, call_id).legs.near()


def loudness(sdk: SdkDouble) -> float:
    return float(np.abs(sdk.ear.pcm()[-8000:].astype(float)).max(initial=0.0))


async def heard_by(sdk: SdkDouble) -> None:
    await until(lambda: loudness(sdk) > 1000, timeout=10.0)


@pytest.mark.quick
async def test_an_sdk_hears_the_other_party_and_is_heard():
    async with echo_call() as (_client, _call_id, sdk):
        joined = await sdk.join()
        [far] = joined.other_participants
        assert far.attributes["sip.callStatus"] == "active"
        track = await sdk.publish(TONE)
        assert track.sid.startswith("TR_")
        await heard_by(sdk)
        assert list(sdk.answer.mid_to_track_id.values()) == [far.tracks[0].sid]


async def test_two_sdks_talk_with_each_other():
    async with running() as client:
        call_id = await begin_call(client)
        mine, theirs = [await token(client, call_id, party, party) for party in ("near", "far")]
        async with SdkDouble(client.http, mine) as one, SdkDouble(client.http, theirs) as other:
            await one.join()
            await other.join()
            await one.publish(np.zeros(16_000, np.int16))
            await other.publish(TONE)
            await heard_by(one)
            assert loudness(other) < 100
            assert one.microphone is not None
            one.microphone.say(TONE)
            await heard_by(other)


async def test_a_mute_of_the_sdk_is_the_legs_and_one_of_ours_reaches_the_sdk():
    async with echo_call() as (client, call_id, sdk):
        await sdk.join()
        await sdk.publish(TONE)
        await sdk.mute(muted=True)
        await until(lambda: near(client, call_id)[0].muted)
        await sdk.mute(muted=False)
        await until(lambda: not near(client, call_id)[0].muted)
        await client.data("/call/mute", {"callId": call_id, "muted": True})
        assert (await sdk.get("mute")).muted
        await client.data("/call/mute", {"callId": call_id, "muted": False})
        assert not (await sdk.get("mute")).muted


async def test_a_mute_of_the_other_party_is_seen():
    async with echo_call() as (client, call_id, sdk):
        await sdk.join()
        [far] = machine_of(client, call_id).legs.far_parties()
        await client.data("/call/mute", {"callId": call_id, "legID": far.leg_id, "muted": True})
        await until(lambda: _last_other(sdk) and _last_other(sdk).tracks[0].muted)


def _last_other(sdk):
    updates = [frame.update for frame in sdk.frames if frame.update is not None]
    return updates[-1].participants[0] if updates else None


async def test_both_who_speak_are_shown_until_they_pause():
    async with echo_call() as (_client, _call_id, sdk):
        joined = await sdk.join()
        sids = {joined.participant.sid, joined.other_participants[0].sid}
        await sdk.publish(TONE)
        await until(lambda: speaking(sdk) == sids)
        assert sdk.microphone is not None
        sdk.microphone.say(np.zeros(16_000, np.int16))
        await until(lambda: speaking(sdk) == set())


def speaking(sdk):
    said = [
        one
        for frame in sdk.frames
        if frame.speakers_changed
        for one in frame.speakers_changed.speakers
    ]
    last = {one.sid: one for one in said}
    return {sid for sid, one in last.items() if one.active}


async def test_the_quality_of_the_connections_is_told():
    async with running() as client:
        call_id = await begin_call(client)
        mine, theirs = [await token(client, call_id, party, party) for party in ("near", "far")]
        async with SdkDouble(client.http, mine) as one, SdkDouble(client.http, theirs) as other:
            joined = await one.join()
            await other.join()
            await one.publish(TONE)
            await other.publish(TONE)
            sids = {joined.participant.sid, joined.other_participants[0].sid}
            await until(lambda: set(qualities(one)) == sids, timeout=10.0)
            assert {found.quality for found in qualities(one).values()} <= {
                ConnectionQuality.EXCELLENT,
                ConnectionQuality.GOOD,
            }


def qualities(sdk):
    return {
        one.participant_sid: one
        for frame in sdk.frames
        if frame.connection_quality
        for one in frame.connection_quality.updates
    }


async def test_a_recording_is_shown_while_it_goes_on_and_is_not_paused():
    async with running() as client:
        call_id = await begin_call(
            client, to=f"+{ECHO}", toChannel="whatsapp", metadata={"order": 7}
        )
        async with SdkDouble(client.http, await token(client, call_id)) as sdk:
            joined = await sdk.join()
            assert (joined.room.metadata, joined.room.active_recording) == ('{"order":7}', False)
            for path, recorded in (
                ("/call/record/start", True),
                ("/call/record/pause", False),
                ("/call/record/resume", True),
                ("/call/record/stop", False),
            ):
                await client.data(path, {"callId": call_id})
                room = (await sdk.get("room_update")).room
                assert (room.active_recording, room.metadata) == (recorded, '{"order":7}')


async def test_a_hold_is_shown():
    async with echo_call() as (client, call_id, sdk):
        await sdk.join()
        await client.data("/call/hold", {"callId": call_id})
        await until(lambda: _attribute(sdk, "call.heldBy") == "near")
        await client.data("/call/unhold", {"callId": call_id})
        await until(lambda: _attribute(sdk, "call.heldBy") is None)


def _attribute(sdk, name):
    other = _last_other(sdk)
    return other.attributes.get(name) if other else None


async def test_after_a_transfer_another_participant_is_heard_on_another_line():
    async with running() as client:
        call_id = await begin_call(client)
        async with SdkDouble(client.http, await token(client, call_id, "far", "bob")) as sdk:
            [near_side] = (await sdk.join()).other_participants
            await sdk.publish(TONE)
            await until(lambda: machine_of(client, call_id).state is State.ACTIVE)
            sdk.frames.clear()
            await client.data("/call/transfer", {"callId": call_id, "phone": ECHO})
            assert (await sdk.get("media_sections_requirement")).num_audios == 1
            gone, new = next(
                frame.update.participants
                for frame in sdk.frames
                if frame.update and len(frame.update.participants) == 2
            )
            assert (gone.sid, gone.state) == (near_side.sid, ParticipantState.DISCONNECTED)
            assert new.sid != gone.sid
            [before] = sdk.answer.mid_to_track_id
            await sdk.renegotiate(lines=1)
            [(mid, track)] = sdk.answer.mid_to_track_id.items()
            assert (mid != before, track) == (True, new.tracks[0].sid)
            assert f"a=msid:{new.sid}|{track} {track}" in sdk.answer.sdp
            await until(lambda: speaking(sdk) == {sdk.sid, new.sid})


async def test_the_end_of_the_call_is_told_with_its_reason():
    async with echo_call() as (client, call_id, sdk):
        await sdk.join()
        await client.data("/call/hangup", {"callId": call_id})
        leave = await sdk.get("leave")
        await sdk.closed.wait()
        other = _last_other(sdk)
    assert (leave.reason, leave.action) == (
        DisconnectReason.ROOM_DELETED,
        LeaveAction.DISCONNECT,
    )
    assert other.state == ParticipantState.DISCONNECTED
    assert other.attributes["sip.callStatus"] == "hangup"


async def test_an_sdk_that_leaves_ends_its_leg_and_not_the_call():
    async with echo_call() as (client, call_id, sdk):
        await sdk.join()
        await sdk.leave()
        await until(lambda: near(client, call_id) == [])
        assert await client.state(call_id) == "active"


async def test_the_far_party_may_say_that_it_leaves_because_it_has_no_media():
    async with running() as client:
        call_id = await begin_call(client)
        async with SdkDouble(client.http, await token(client, call_id, "far", "bob")) as sdk:
            await sdk.join()
            machine = machine_of(client, call_id)
            await sdk.leave(DisconnectReason.MEDIA_FAILURE)
            assert machine.reason is EndReason.MEDIA_TIMEOUT


async def test_an_sdk_whose_websocket_is_cut_is_heard_on_and_resumes_with_its_leg():
    async with echo_call() as (client, call_id, sdk):
        await sdk.join()
        await sdk.publish(TONE)
        await heard_by(sdk)
        [before] = near(client, call_id)
        await sdk.cut()
        await sdk.resume()
        assert (await sdk.get("reconnect")).server_info.version
        assert len((await sdk.get("update")).participants) == 2
        await heard_by(sdk)
        await sdk.mute(muted=True)
        await until(lambda: near(client, call_id)[0].muted)
        assert [leg.leg_id for leg in near(client, call_id)] == [before.leg_id]


async def test_a_session_that_is_not_here_is_to_be_joined_anew():
    async with echo_call() as (_client, _call_id, sdk):
        sdk.sid = "PA_leg_0123456789abcdef"
        await sdk.resume()
        leave = await sdk.get("leave")
        await sdk.closed.wait()
    assert (leave.reason, leave.action) == (
        DisconnectReason.STATE_MISMATCH,
        LeaveAction.RECONNECT,
    )


async def test_a_second_sdk_of_the_same_identity_takes_the_place_of_the_first():
    async with running() as client:
        call_id = await client.dial(ECHO)
        ticket = await token(client, call_id)
        async with SdkDouble(client.http, ticket) as one, SdkDouble(client.http, ticket) as other:
            await one.join()
            await other.join()
            assert (await one.get("leave")).reason == DisconnectReason.DUPLICATE_IDENTITY
            await other.publish(TONE)
            await heard_by(other)
            assert len(near(client, call_id)) == 1


async def test_a_leg_that_we_close_has_its_sdk_removed():
    async with echo_call() as (client, call_id, sdk):
        await sdk.join()
        await client.post("/call/webrtc/close", {"callID": call_id})
        assert (await sdk.get("leave")).reason == DisconnectReason.PARTICIPANT_REMOVED
        assert await client.state(call_id) == "active"


@pytest.mark.full
async def test_the_turns_of_a_bot_with_an_sdk_are_measured():
    async with running() as client:
        published = Published()
        client.bridge.manager.publisher.subscribe(published.events.append)
        call_id = await begin_call(client)
        body = {"party": "near", "identity": "bot", "machine": True}
        mine = (await client.data(f"/call/{call_id}/livekit", body))["token"]
        theirs = await token(client, call_id, "far", "far")
        nothing, second = np.zeros(320, np.int16), TONE
        async with SdkDouble(client.http, mine) as bot, SdkDouble(client.http, theirs) as person:
            await bot.join()
            await person.join()
            await bot.publish(nothing)
            await person.publish(second)
            await heard_by(bot)
            assert bot.microphone is not None
            assert person.microphone is not None
            person.microphone.say(nothing)
            await asyncio.sleep(0.5)
            bot.microphone.say(second)
            await heard_by(person)
            await asyncio.sleep(0.5)
            await bot.leave()
            await until(lambda: published.of("turn"))
            [turn] = published.of("turn")
            assert turn["bot"] == "livekit"
