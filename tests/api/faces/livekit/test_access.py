"""Who an SDK is by its token: a JWT of the line's own server, which LiveKit's server SDKs make."""

import logging

import pytest

from bridge.call.routing import Audience, Subscription
from bridge.settings.line import Line
from bridge.settings.livekit import LiveKit
from bridge.wire.call_id import chirp, room, wavix
from bridge.wire.livekit.models import TrackSource
from bridge.wire.livekit.request import AddTrack, JoinRequest, SignalRequest
from bridge.wire.livekit.response import RequestReason
from tests.support.clients.livekit_sdk import SdkDouble
from tests.support.clients.livekit_token import SECRET, jwt, minted
from tests.support.inprocess import running, settings

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"
API_KEY, OTHER_KEY = "APIdemo", "APIother"
VALIDATE = "/rtc/v1/validate"


@pytest.fixture
async def client():
    lines = {
        "demo": Line(keys=["demo"], livekit=LiveKit(api_key=API_KEY, api_secret=SECRET)),
        "other": Line(keys=["other"], livekit=LiveKit(api_key=OTHER_KEY, api_secret=SECRET[::-1])),
    }
    async with running(settings(lines=lines)) as client:
        yield client


@pytest.fixture
async def call_id(client) -> str:
    return str(await client.dial(ECHO))


async def refused(client, token: str, status: int = 401) -> str:
    """Return the text that an SDK shows of a token's refusal, which any page may read."""
    response = await client.http.get(VALIDATE, params={"access_token": token})
    assert response.status == status, await response.text()
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.content_type == "text/plain"
    return str(await response.text())


async def joined(client, token: str):
    """Return what an SDK is told that joins, without media."""
    async with SdkDouble(client.http, token) as sdk:
        await sdk.open(JoinRequest())
        return await sdk.get("join")


@pytest.mark.quick
@pytest.mark.parametrize("spelled", [str, chirp, room, wavix])
async def test_a_token_opens_the_call_that_its_room_names_in_any_spelling(client, call_id, spelled):
    token = minted(API_KEY, spelled(call_id), "alice", name="Alice")
    for path in (VALIDATE, "/livekit" + VALIDATE):
        response = await client.http.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (response.status, await response.text()) == (200, "success")
    found = await joined(client, token)
    assert (found.participant.identity, found.participant.name) == ("alice", "Alice")
    assert (found.room.sid, found.room.name) == (f"RM_{call_id}", room(call_id))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"key": "APInobody"}, "(iss) is unknown"),
        ({"secret": SECRET + "x"}, "signature"),
        ({"key": OTHER_KEY}, "signature"),
        ({"seconds": -61}, "has expired"),
        ({"begins": 120}, "not valid yet"),
        ({"roomJoin": False, "roomAdmin": True}, "roomJoin"),
        ({"room": ""}, "no room"),
        ({"room": "lobby"}, "no such call"),
        ({"room": "0" * 32}, "no such call"),
        ({"identity": ""}, "identity"),
    ],
)
async def test_what_is_wrong_with_a_token_is_told(client, call_id, changed, told):
    chosen = {"key": API_KEY, "room": call_id} | changed
    assert told in await refused(client, minted(**chosen))


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS512"}, {"alg": "RS256"}])
async def test_a_token_of_another_algorithm_is_refused(client, call_id, header):
    claims = {"iss": API_KEY, "sub": "a", "exp": 9e9, "video": {"roomJoin": True, "room": call_id}}
    assert "HS256" in await refused(client, jwt(claims, header=header))


async def test_a_token_of_another_line_opens_no_call_of_this_one(client, call_id):
    token = minted(OTHER_KEY, call_id, secret=SECRET[::-1])
    assert "no such call" in await refused(client, token)


async def test_a_clock_may_be_wrong_by_a_minute(client, call_id):
    token = minted(API_KEY, call_id, seconds=-30, begins=30)
    response = await client.http.get(VALIDATE, params={"access_token": token})
    assert response.status == 200


async def test_the_token_of_an_ended_call_is_refused(client, call_id):
    await client.data("/call/hangup", {"callId": call_id})
    assert "has ended" in await refused(client, minted(API_KEY, call_id))


async def test_a_token_is_good_for_nothing_but_the_sdks_paths(client, call_id):
    headers = {"token": minted(API_KEY, call_id)}
    for path in (f"/call/{call_id}/quality", "/call/status", f"/call/{call_id}/events"):
        response = await client.http.get(path, headers=headers)
        assert response.status == 401, path


async def test_whom_the_call_is_made_to_joins_as_the_far_party(client):
    body = {"from": "alice", "to": "bob", "fromChannel": "webrtc", "toChannel": "webrtc"}
    made = await (await client.post("/v1/calls", body)).json()
    far = await joined(client, minted(API_KEY, made["livekitRoomName"], "bob"))
    near = await joined(client, minted(API_KEY, made["livekitRoomName"], "alice"))
    assert [one.sid[-4:] for one in far.other_participants] == ["near"]
    assert [one.sid[-4:] for one in near.other_participants] == ["_far"]


async def test_an_identity_may_be_the_name_of_a_party(client, call_id):
    found = await joined(client, minted(API_KEY, call_id, "far"))
    assert found.other_participants[0].sid.endswith("near")


@pytest.mark.parametrize("denied", [{"canPublish": False}, {"canSubscribe": False}])
async def test_a_far_party_has_to_hear_and_be_heard(client, call_id, denied):
    assert "canPublish" in await refused(client, minted(API_KEY, call_id, "far", **denied), 403)


async def test_who_may_not_publish_is_refused_a_track_and_told_so_before(client, call_id):
    token = minted(API_KEY, call_id, canPublish=False)
    async with SdkDouble(client.http, token) as sdk:
        await sdk.open(JoinRequest())
        permission = (await sdk.get("join")).participant.permission
        assert (permission.can_publish, permission.can_subscribe) == (False, True)
        wanted = AddTrack(cid="mic", source=TrackSource.MICROPHONE)
        await sdk.send(SignalRequest(add_track=wanted))
        answer = await sdk.get("request_response")
    assert (answer.reason, answer.add_track.cid) == (RequestReason.NOT_ALLOWED, "mic")
    assert "canPublish" in answer.message


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ({"canPublish": False}, (Subscription.OTHERS, Audience.NOBODY)),
        ({"canPublishSources": ["camera"]}, (Subscription.OTHERS, Audience.NOBODY)),
        ({"canSubscribe": False}, (Subscription.NOBODY, Audience.ALL)),
        ({}, (Subscription.OTHERS, Audience.ALL)),
    ],
)
async def test_the_leg_hears_and_is_heard_as_the_token_grants(client, call_id, denied, expected):
    async with SdkDouble(client.http, minted(API_KEY, call_id, **denied)) as sdk:
        await sdk.join()
        [runner] = client.bridge.manager.calls()
        [leg] = runner.machine.legs.near()
        assert (leg.role.subscription, leg.role.audience) == expected


async def test_a_token_that_grants_something_else_gets_its_holder_another_leg(client, call_id):
    async with SdkDouble(client.http, minted(API_KEY, call_id, canPublish=False)) as one:
        silent = (await one.join()).participant.sid
        async with SdkDouble(client.http, minted(API_KEY, call_id)) as other:
            assert (await other.join()).participant.sid != silent
            await one.get("leave")


async def test_wrong_tokens_are_limited_as_wrong_keys_are(client, call_id):
    wrong = minted(API_KEY, call_id, secret=SECRET + "x")
    for _ in range(20):
        await refused(client, wrong)
    assert "too many wrong keys" in await refused(client, wrong, 429)
    good = minted(API_KEY, call_id)
    assert (await client.http.get(VALIDATE, params={"access_token": good})).status == 200


async def test_no_token_is_logged_however_its_request_is_refused(client, call_id, caplog):
    caplog.set_level(logging.DEBUG)
    token = minted(API_KEY, call_id)
    wrong = minted(API_KEY, call_id, secret=SECRET + "x")
    await refused(client, wrong)
    for query in ({}, {"join_request": "!"}, {"join_request": "A" * 9000}):
        await client.http.get("/rtc/v1", params=query | {"access_token": token})
    for text in (token, wrong):
        assert text not in caplog.text
        assert text.rpartition(".")[2] not in caplog.text
    assert SECRET not in caplog.text
