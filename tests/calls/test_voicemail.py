"""Callers at voicemail over Meta's API, gateway engines and the telephone network."""

import asyncio

import numpy as np
import pytest

from bridge.audio.file.wav import parse_wav
from tests.calls.telephone.test_trunk import BRANCH, OFFICE, joined
from tests.calls.telephone.test_trunk import ringing as telephone_rings
from tests.calls.whatsapp.test_cloud import world
from tests.calls.whatsapp.test_gateway import bridged, ringing
from tests.calls.whatsapp.test_gateway import dialect as dialect
from tests.support.clients.event_stream import listening
from tests.support.clients.pcm_client import pcm_client
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until_answer

pytestmark = pytest.mark.call


async def voicemail(client):
    async def asked():
        return (await (await client.get("/voicemails")).json())["data"]["voicemails"]

    [found] = await until_answer(asked, timeout=60.0)
    return found


async def pitch(client, found) -> float:
    """The loudest frequency of a message."""
    pcm = parse_wav(await (await client.get(found["url"])).read()).pcm
    wave = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(wave))
    return float(np.argmax(spectrum) * 16_000 / len(wave))


async def test_a_whatsapp_user_leaves_a_message_and_ends_it_with_a_key():
    async with world(speech=tone(20, 880)) as meta:
        user = await meta.graph.ring()
        call_id = (await meta.call())["callId"]
        async with listening(meta.client, f"/call/{call_id}/events") as stream:
            await meta.client.data("/call/voicemail", {"callId": call_id})
            await stream.until_type("recording.started")
            await asyncio.sleep(2.0)
            # It ends the call before the last of its packets is sent.
            pressing = asyncio.get_running_loop().create_task(user.media.send_digit("#"))
            assert (await stream.until_type("call.ended"))["data"]["reason"] == "hangup"
            received = await stream.until_type("voicemail.received")
            assert received["data"]["reason"] == "key"
            pressing.cancel()
        found = await voicemail(meta.client)
        assert found["channel"] == "whatsapp"
        assert await pitch(meta.client, found) == pytest.approx(880, abs=10)
        assert np.abs(user.media.heard.astype(float)).max() > 3000


async def test_a_caller_over_a_gateway_leaves_a_message(dialect):
    async with bridged(dialect, speech=tone(8, 880)) as (engine, client):
        engine.ring("15550107777")
        call_id = (await ringing(client))["callId"]
        async with listening(client, f"/call/{call_id}/events") as stream:
            await client.data("/call/voicemail", {"callId": call_id})
            await stream.until_type("recording.started")
            await asyncio.sleep(2.0)
            await client.data("/call/hangup", {"callId": call_id})
            await stream.until_type("voicemail.received")
        found = await voicemail(client)
        assert found["from"] == "+15550107777"
        assert await pitch(client, found) == pytest.approx(880, abs=10)


async def test_a_caller_over_the_telephone_network_leaves_a_message_and_ends_it_with_a_key():
    async with joined() as (office, branch):
        made = await office.dial(BRANCH, channel="pstn")
        call_id = (await telephone_rings(branch))["callId"]
        async with listening(branch, f"/call/{call_id}/events") as stream:
            await branch.data("/call/voicemail", {"callId": call_id})
            await stream.until_type("recording.started")
            async with pcm_client(office.http, f"/call/{made}/stream?token=demo") as caller:
                await caller.speak(tone(2, 880))
                await asyncio.sleep(2.0)
                await office.data("/call/dtmf", {"callId": made, "digits": "#"})
                received = await stream.until_type("voicemail.received")
        assert received["data"]["reason"] == "key"
        found = await voicemail(branch)
        assert (found["from"], found["channel"]) == (f"+{OFFICE}", "pstn")
        assert await pitch(branch, found) == pytest.approx(880, abs=10)
