"""LiveKit's client SDKs with two connections: one leg, which resumes, joins anew, and passes to another process."""

import asyncio

import numpy as np
import pytest

from bridge.call.model import State
from bridge.wire.livekit.models import DisconnectReason, LeaveAction
from tests.calls.test_livekit import ECHO, TONE, begin_call, heard_by, machine_of, near, token
from tests.support.clients.livekit_sdk import SdkDouble
from tests.support.handover.moving_calls import moving_calls
from tests.support.inprocess import running
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]


@pytest.fixture
async def calls():
    async with moving_calls() as calls:
        yield calls


async def heard_anew(sdk):
    await until(lambda: len(sdk.ear.pcm()))
    before = len(sdk.ear.pcm())
    await until(lambda: len(sdk.ear.pcm()) > before + 16_000)
    assert np.abs(sdk.ear.pcm()[-8000:].astype(int)).max() > 1000


@pytest.mark.parametrize("how", ["moved", "crashed"])
async def test_an_sdk_with_two_connections_is_heard_on_over_both(calls, how):
    call_id = await calls.client.dial(ECHO)
    made = await calls.client.data(f"/call/{call_id}/livekit", {})
    async with SdkDouble(calls.client.http, made["token"], two_connections=True) as sdk:
        await sdk.join()
        await sdk.publish(TONE)
        await heard_anew(sdk)
        await asyncio.sleep(2.5)  # until the end of the handshakes has reached it for certain
        if how == "moved":
            await calls.move(call_id)
        else:
            copy = calls.copy(call_id)
            await asyncio.sleep(0.2)
            await calls.crash(call_id, copy, silent=0.3)
        await heard_anew(sdk)
        assert sdk.connection.connectionState == sdk.publisher.connectionState == "connected"


async def test_an_sdk_that_only_listens_hears_on_after_it_was_passed_on(calls):
    call_id = await calls.client.dial("15550100002")
    made = await calls.client.data(f"/call/{call_id}/livekit", {})
    async with SdkDouble(calls.client.http, made["token"], two_connections=True) as sdk:
        await sdk.join()
        await heard_anew(sdk)
        await asyncio.sleep(2.5)
        await calls.move(call_id)
        await heard_anew(sdk)


@pytest.mark.quick
async def test_an_sdk_with_two_connections_is_one_leg_that_hears_and_is_heard():
    async with running() as client:
        call_id = await client.dial(ECHO)
        ticket = await token(client, call_id)
        async with SdkDouble(client.http, ticket, two_connections=True) as sdk:
            joined = await sdk.join()
            assert joined.subscriber_primary
            track = await sdk.publish(TONE)
            assert track.sid.startswith("TR_")
            await heard_by(sdk)
            [leg] = near(client, call_id)
            found = statistics_of(client, call_id, leg.leg_id)
            assert found.received.packets > 0 < found.sent.packets
            assert found.transport.sends
            assert client.ports.used == 2
            await sdk.leave()
            await until(lambda: client.ports.used == 0)


async def test_an_sdk_with_two_connections_resumes_both_and_is_offered_an_ice_restart():
    async with running() as client:
        call_id = await client.dial(ECHO)
        ticket = await token(client, call_id)
        async with SdkDouble(client.http, ticket, two_connections=True) as sdk:
            await sdk.join()
            await sdk.publish(TONE)
            await heard_by(sdk)
            [before] = near(client, call_id)
            ufrag = ice_user(sdk.connection.remoteDescription.sdp)
            await sdk.cut()
            await sdk.resume()
            assert (await sdk.get("reconnect")).server_info.version
            assert ice_user((await sdk.get("offer")).sdp) != ufrag  # aiortc cannot restart ICE
            await sdk.mute(muted=True)
            await until(lambda: near(client, call_id)[0].muted)
            await sdk.mute(muted=False)
            await heard_by(sdk)
            assert [leg.leg_id for leg in near(client, call_id)] == [before.leg_id]


async def test_an_sdk_that_joins_anew_with_two_connections_keeps_its_leg():
    async with running() as client:
        call_id = await client.dial(ECHO)
        ticket = await token(client, call_id)
        async with (
            SdkDouble(client.http, ticket, two_connections=True) as one,
            SdkDouble(client.http, ticket, two_connections=True) as again,
        ):
            await one.join()
            await one.publish(TONE)
            await heard_by(one)
            [before] = near(client, call_id)
            await again.join()
            assert (await one.get("leave")).reason == DisconnectReason.DUPLICATE_IDENTITY
            await again.publish(TONE)
            await heard_by(again)
            assert [leg.leg_id for leg in near(client, call_id)] == [before.leg_id]


@pytest.mark.parametrize("before", [True, False])
async def test_an_identity_has_one_leg_however_many_connections_its_sdks_use(before):
    async with running() as client:
        call_id = await client.dial(ECHO)
        ticket = await token(client, call_id)
        async with (
            SdkDouble(client.http, ticket, two_connections=before) as one,
            SdkDouble(client.http, ticket, two_connections=not before) as other,
        ):
            await one.join()
            await other.join()
            assert (await one.get("leave")).reason == DisconnectReason.PARTICIPANT_REMOVED
            await other.publish(TONE)
            await heard_by(other)
            assert len(near(client, call_id)) == 1


async def test_twenty_joins_with_two_connections_leave_no_port_open():
    async with running() as client:
        call_id = await client.dial(ECHO)
        ticket = await token(client, call_id)
        async with SdkDouble(client.http, ticket, two_connections=True) as sdk:
            await sdk.join()
            for number in range(19):
                if number % 2:
                    await sdk.leave()
                await sdk.rejoin()
            await sdk.leave()
        await until(lambda: client.ports.used == 0)


def statistics_of(client, call_id, leg_id):
    runner = next(one for one in client.bridge.manager.calls() if one.facts.call_id == call_id)
    return runner.leg(leg_id).statistics()


def ice_user(sdp: str) -> str:
    return next(line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:"))


async def test_after_a_transfer_an_sdk_with_two_connections_is_to_join_anew():
    async with running() as client:
        call_id = await begin_call(client)
        ticket = await token(client, call_id, "far", "bob")
        async with SdkDouble(client.http, ticket, two_connections=True) as sdk:
            await sdk.join()
            await sdk.publish(TONE)
            await until(lambda: machine_of(client, call_id).state is State.ACTIVE)
            await client.data("/call/transfer", {"callId": call_id, "phone": ECHO})
            assert (await sdk.get("leave")).action == LeaveAction.RECONNECT
            assert not any(frame.media_sections_requirement for frame in sdk.frames)
