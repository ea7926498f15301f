"""LiveKit's client SDKs with tokens of the line's own server in whole calls, and how they resume once these have expired."""

import numpy as np
import pytest

from bridge.api.server.services import ACCESS
from bridge.call.model import LineName
from bridge.settings.line import Line
from bridge.settings.livekit import LiveKit
from bridge.wire.livekit.models import DisconnectReason
from bridge.wire.livekit.request import JoinRequest
from tests.support.clients.livekit_sdk import SdkDouble, packed
from tests.support.clients.livekit_token import SECRET, minted
from tests.support.inprocess import running, settings
from tests.support.waiting import until

ECHO = "15550100001"
API_KEY = "APIdemo"
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)

pytestmark = pytest.mark.call


@pytest.fixture
async def client():
    line = Line(keys=["demo"], livekit=LiveKit(api_key=API_KEY, api_secret=SECRET))
    async with running(settings(lines={"demo": line})) as client:
        yield client


def loudness(sdk: SdkDouble) -> float:
    return float(np.abs(sdk.ear.pcm()[-8000:].astype(float)).max(initial=0.0))


@pytest.mark.quick
async def test_an_sdk_joins_with_a_token_of_the_lines_server_and_resumes_once_it_has_expired(
    client,
):
    call_id = await client.dial(ECHO)
    async with SdkDouble(client.http, minted(API_KEY, call_id, "alice", name="Alice")) as sdk:
        joined = await sdk.join()
        assert joined.participant.name == "Alice"
        await sdk.publish(TONE)
        await until(lambda: loudness(sdk) > 1000, timeout=10.0)
        await sdk.cut()
        sdk.token = minted(API_KEY, call_id, "alice", seconds=-100)
        await sdk.resume()
        assert (await sdk.get("reconnect")).server_info.version


@pytest.mark.parametrize("kind", ["agent", "", "sip"])
@pytest.mark.full
async def test_who_joins_as_a_participant_of_the_kind_agent_is_a_machine(client, kind):
    call_id = await client.dial(ECHO)
    async with SdkDouble(client.http, minted(API_KEY, call_id, "bot", kind=kind)) as sdk:
        await sdk.join()
        [runner] = client.bridge.manager.calls()
        [leg] = runner.machine.legs.near()
        assert leg.role.machine is (kind == "agent")


async def test_a_ticket_that_has_expired_resumes_its_holders_session_and_joins_no_more(client):
    call_id = await client.dial(ECHO)
    tickets = client.bridge.application[ACCESS].tickets

    def ticket(seconds, identity="alice"):
        return tickets.issue(LineName("demo"), call_id, seconds, party="near", identity=identity)[0]

    async with SdkDouble(client.http, ticket(60)) as sdk:
        await sdk.join()
        await sdk.cut()
        for expired, request in (
            (ticket(-5), JoinRequest()),
            (ticket(-5), JoinRequest(reconnect=True, participant_sid="PA_leg_0123456789abcdef")),
            (ticket(-5, "bob"), JoinRequest(reconnect=True, participant_sid=sdk.sid)),
        ):
            query = {"access_token": expired, "join_request": packed(request)}
            upgrade = {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            }
            response = await client.http.get("/rtc/v1", params=query, headers=upgrade)
            assert response.status == 401
            assert "has expired" in await response.text()
        sdk.token = ticket(-5)
        await sdk.resume()
        assert (await sdk.get("reconnect")).server_info.version


async def test_nobody_hears_whose_token_does_not_grant_to_publish(client):
    body = {"from": "alice", "to": "bob", "fromChannel": "webrtc", "toChannel": "webrtc"}
    room = (await (await client.post("/v1/calls", body)).json())["livekitRoomName"]
    silent, speaks = minted(API_KEY, room, "eve", canPublish=False), minted(API_KEY, room, "alice")
    async with (
        SdkDouble(client.http, minted(API_KEY, room, "bob")) as bob,
        SdkDouble(client.http, silent) as eve,
        SdkDouble(client.http, speaks) as alice,
    ):
        await bob.join()
        await bob.publish(np.zeros(16_000, np.int16))
        await eve.join()
        await eve.offer_microphone(TONE)
        await alice.join()
        await alice.publish(np.zeros(16_000, np.int16))
        await until(lambda: bob.ear.pcm().size > 16_000, timeout=10.0)
        assert loudness(bob) < 100
        assert alice.microphone is not None
        alice.microphone.say(TONE)
        await until(lambda: loudness(bob) > 1000, timeout=10.0)


async def test_a_chirp_token_is_one_for_sdks_too(client):
    body = {"from": "alice", "to": "bob", "fromChannel": "webrtc", "toChannel": "webrtc"}
    room = (await (await client.post("/v1/calls", body)).json())["livekitRoomName"]
    wanted = {"roomName": room, "participantIdentity": "bob", "participantName": "Bob\n"}
    answer = await (await client.post("/v1/calls/token", wanted)).json()
    assert answer["url"] == str(client.http.make_url("/")).replace("http", "ws", 1).rstrip("/")
    async with SdkDouble(client.http, answer["token"]) as sdk:
        joined = await sdk.join()
        assert (joined.participant.identity, joined.participant.name) == ("bob", "Bob")
        assert joined.other_participants[0].identity == "alice"
        await client.post("/call/hangup", {"callId": answer["callId"]})
        assert (await sdk.get("leave")).reason == DisconnectReason.ROOM_DELETED
