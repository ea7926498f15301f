"""Offers of LiveKit's client SDKs that are of little use or none, and answers to ours."""

import pytest

from bridge.wire.livekit.models import DisconnectReason, SessionDescription
from bridge.wire.livekit.request import JoinRequest, SignalRequest
from tests.support.clients.livekit_sdk import SdkDouble

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"


async def token(client, call_id) -> str:
    return str((await client.data(f"/call/{call_id}/livekit", {}))["token"])


async def test_an_offer_without_an_audio_line_is_answered_and_asked_for_one(client):
    call_id = await client.dial(ECHO)
    async with SdkDouble(client.http, await token(client, call_id)) as sdk:
        offer = await sdk.offer()
        video = offer.sdp.replace("m=audio", "m=video")
        await sdk.open(JoinRequest(publisher_offer=type(offer)(type="offer", sdp=video, id=1)))
        answer = await sdk.get("answer")
        assert "m=application 0 " in answer.sdp
        assert "m=audio" not in answer.sdp
        assert (await sdk.get("media_sections_requirement")).num_audios == 1
        await sdk.send(SignalRequest(offer=offer))
        assert "m=audio" in (await sdk.get("answer")).sdp


@pytest.mark.parametrize("codec", ["opus", "garbage"])
async def test_an_offer_that_is_of_no_use_ends_the_session(client, codec):
    call_id = await client.dial(ECHO)
    async with SdkDouble(client.http, await token(client, call_id)) as sdk:
        offer = await sdk.offer()
        bad = "garbage" if codec == "garbage" else offer.sdp.replace("opus/48000", "speex/48000")
        await sdk.open(JoinRequest(publisher_offer=type(offer)(type="offer", sdp=bad, id=1)))
        assert (await sdk.get("leave")).reason == DisconnectReason.JOIN_FAILURE


async def test_with_two_connections_a_data_channel_alone_is_answered_and_nothing_asked_for(client):
    call_id = await client.dial(ECHO)
    ticket = await token(client, call_id)
    async with SdkDouble(client.http, ticket, two_connections=True) as sdk:
        await sdk.join()
        sdk.publisher.createDataChannel("_reliable")
        offer = await sdk.offer()
        assert "m=audio" not in offer.sdp
        await sdk.send(SignalRequest(offer=offer))
        assert "m=application 0 " in (await sdk.get("answer")).sdp
        assert not any(frame.media_sections_requirement for frame in sdk.frames)


@pytest.mark.parametrize(
    "answer",
    [SessionDescription(type="answer", sdp="garbage"), SessionDescription(type="answer", id=1)],
)
async def test_an_answer_that_is_of_no_use_has_the_client_join_anew(client, answer):
    call_id = await client.dial(ECHO)
    ticket = await token(client, call_id)
    async with SdkDouble(client.http, ticket, two_connections=True) as sdk:
        await sdk.open(JoinRequest())
        await sdk.get("offer")
        await sdk.send(SignalRequest(answer=SessionDescription(type="answer", id=9)))  # ignored
        await sdk.send(SignalRequest(answer=answer))
        assert (await sdk.get("leave")).reason == DisconnectReason.STATE_MISMATCH
