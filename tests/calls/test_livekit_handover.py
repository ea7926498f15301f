"""LiveKit's client SDKs with two connections in calls that another process goes on with."""

import asyncio

import numpy as np
import pytest

from tests.support.clients.livekit_sdk import SdkDouble
from tests.support.handover.moving_calls import moving_calls
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

ECHO = "15550100001"
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


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


async def test_an_sdk_that_only_listens_is_passed_on_and_may_speak_then(calls):
    call_id = await calls.client.dial("15550100002")
    made = await calls.client.data(f"/call/{call_id}/livekit", {})
    async with SdkDouble(calls.client.http, made["token"], two_connections=True) as sdk:
        await sdk.join()
        await heard_anew(sdk)
        await asyncio.sleep(2.5)
        await calls.move(call_id)
        await heard_anew(sdk)
