"""Where LiveKit's client SDKs connect: who may, and what they are refused, in words that they show."""

import asyncio
import logging

import pytest

from bridge.wire.livekit.models import (
    Encryption,
    TrackSource,
    TrackType,
    Trickle,
)
from bridge.wire.livekit.request import (
    AddTrack,
    DataBlobRequest,
    JoinRequest,
    Ping,
    SignalRequest,
    UpdateMetadata,
)
from bridge.wire.livekit.response import RequestReason
from tests.support.clients.livekit_sdk import SdkDouble, packed

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"


async def token(client, call_id, **more) -> str:
    return str((await client.data(f"/call/{call_id}/livekit", more))["token"])


@pytest.fixture
async def sdk(client):
    """An SDK that has joined without media."""
    call_id = await client.dial(ECHO)
    async with SdkDouble(client.http, await token(client, call_id)) as sdk:
        sdk.call_id = call_id
        await sdk.open(JoinRequest())
        sdk.joined = await sdk.get("join")
        yield sdk


async def test_a_token_is_made_for_a_party_and_the_address_that_the_caller_used(client):
    call_id = await client.dial(ECHO)
    made = await client.data(
        f"/call/{call_id}/livekit", {"party": "far", "identity": "bob", "ttl": 60}
    )
    assert sorted(made) == ["expiresAt", "token", "url"]
    assert made["url"] == str(client.http.make_url("/")).replace("http", "ws", 1).rstrip("/")


async def test_what_is_wrong_with_a_token_is_said_in_plain_text_that_pages_may_read(client):
    call_id = await client.dial(ECHO)
    good = await token(client, call_id)
    ended = await token(client, gone := await client.dial(ECHO))
    await client.data("/call/hangup", {"callId": gone})
    for query, status in (
        ({}, 401),
        ({"access_token": "tk_nonsense"}, 401),
        ({"access_token": ended}, 401),
        ({"access_token": "demo"}, 403),
        ({"access_token": good}, 200),
    ):
        for path in ("/rtc/v1/validate", "/rtc/validate", "/livekit/rtc/validate"):
            response = await client.http.get(path, params=query)
            assert response.status == status, query
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.content_type == "text/plain"
            assert 'success":' not in await response.text()


async def test_a_token_may_be_in_a_header(client):
    good = await token(client, await client.dial(ECHO))
    headers = {"Authorization": f"Bearer {good}"}
    response = await client.http.get("/rtc/v1/validate", headers=headers)
    assert (response.status, await response.text()) == (200, "success")


async def test_a_request_to_join_that_is_garbage_is_a_400(client):
    query = {"access_token": await token(client, await client.dial(ECHO)), "join_request": "!"}
    response = await client.http.get("/rtc/v1", params=query)
    assert response.status == 400
    assert "base64url" in await response.text()


async def test_no_token_is_logged(client, caplog):
    caplog.set_level(logging.DEBUG)
    good = await token(client, await client.dial(ECHO))
    async with SdkDouble(client.http, good) as sdk:
        await sdk.join()
        await sdk.leave()
    await client.http.get("/rtc/v1/validate", params={"access_token": good + "x"})
    assert good not in caplog.text
    assert packed(JoinRequest())[:12] not in caplog.text


async def test_a_join_has_what_sdks_fail_without(sdk):
    joined = sdk.joined
    assert joined.ping_interval > 0 < joined.ping_timeout
    assert joined.server_version == joined.server_info.version != ""
    assert joined.room.sid.startswith("RM_")
    assert not joined.subscriber_primary
    for one in (joined.participant, *joined.other_participants):
        assert one.sid.startswith("PA_")
        assert all(track.sid.startswith("TR_") for track in one.tracks)
    assert joined.ice_servers[0].urls == ("stun:stun.l.google.com:19302",)
    assert joined.participant.permission.can_publish_sources == (TrackSource.MICROPHONE,)


async def test_pings_of_both_kinds_are_answered(sdk):
    await sdk.send(SignalRequest(ping_req=Ping(timestamp=7)))
    assert (await sdk.get("pong_resp")).last_ping_timestamp == 7
    await sdk.send(SignalRequest(ping=7))
    assert await sdk.get("pong") > 0


@pytest.mark.parametrize(
    "wanted",
    [
        AddTrack(cid="camera", type=TrackType.VIDEO, source=TrackSource.CAMERA),
        AddTrack(cid="screen", source=TrackSource.SCREEN_SHARE_AUDIO),
        AddTrack(cid="secret", source=TrackSource.MICROPHONE, encryption=Encryption.GCM),
    ],
)
async def test_only_a_microphone_is_taken(sdk, wanted):
    await sdk.send(SignalRequest(add_track=wanted))
    refused = await sdk.get("request_response")
    assert refused.reason == RequestReason.UNSUPPORTED_TYPE
    assert refused.add_track.cid == wanted.cid


async def test_a_second_microphone_is_refused(sdk):
    await sdk.add_track("one")
    await sdk.send(SignalRequest(add_track=AddTrack(cid="two", source=TrackSource.MICROPHONE)))
    assert (await sdk.get("request_response")).reason == RequestReason.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    "wanted",
    [
        SignalRequest(update_metadata=UpdateMetadata(name="x", request_id=5)),
        SignalRequest(store_data_blob=DataBlobRequest(request_id=5)),
        SignalRequest(get_data_blob=DataBlobRequest(request_id=5)),
    ],
)
async def test_metadata_cannot_be_changed_and_no_data_kept(sdk, wanted):
    await sdk.send(wanted)
    refused = await sdk.get("request_response")
    assert (refused.request_id, refused.reason) == (5, RequestReason.NOT_ALLOWED)


async def test_candidates_are_ignored_however_many_there_are(sdk):
    for _ in range(1000):
        await sdk.send(SignalRequest(trickle=Trickle(candidate="{}")))
    await sdk.send(SignalRequest(ping=7))
    await sdk.get("pong")
    assert sdk.frames == [] or not sdk.closed.is_set()


@pytest.mark.parametrize("frame", [b"\xff" * 20, b"\x0a\xff\xff\xff\x0f", bytes(65 * 1024)])
async def test_a_malformed_or_huge_frame_ends_the_session_and_not_the_call(client, sdk, frame):
    await sdk.socket.send_bytes(frame)
    async with asyncio.timeout(5):
        await sdk.closed.wait()
    assert await client.state(sdk.call_id) == "active"
