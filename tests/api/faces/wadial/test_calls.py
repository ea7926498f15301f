"""A WADial client against the bridge, written from the vendor's document alone."""

import re

import pytest

from bridge.settings.model import Limits
from tests.support.clients.vendor import (
    BUSY,
    ECHO,
    NEVER,
    OTHER,
    SALES,
    UNREACHABLE,
    Vendor,
    two_lines,
)
from tests.support.inprocess import running
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until_answer

pytestmark = pytest.mark.usefixtures("nodes")

CALLS = "/api/v1/sessions/sales/calls"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
async def bridge():
    async with running(two_lines()) as client:
        yield client


@pytest.fixture
def wadial(bridge):
    return Vendor(bridge.http)


async def started(wadial, to: str = f"{ECHO}@s.whatsapp.net"):
    status, body = await wadial.post(CALLS, {"to": to})
    assert status == 200, body
    return body["data"]


async def reached(wadial, call_id: str, state: str):
    async def shown():
        _, body = await wadial.get(f"{CALLS}/{call_id}")
        return body["data"] if body["data"]["state"] == state else None

    return await until_answer(shown)


async def ringing(bridge) -> str:
    """Let a contact ring the line."""
    response = await bridge.post("/simulator/incoming", {"from": ECHO}, headers={"token": SALES})
    return str((await response.json())["data"]["callId"])


# Sessions


async def test_the_line_is_the_keys_one_session(wadial):
    status, body = await wadial.post("/api/v1/sessions", {"displayName": "Desk"})
    assert status == 200
    session = body["data"]
    assert (session["sessionId"], session["displayName"]) == ("sales", "Desk")
    assert (session["paired"], session["connected"]) == (True, True)
    assert await wadial.get("/api/v1/sessions") == (
        200,
        {"data": [session | {"displayName": "sales"}]},
    )


@pytest.mark.parametrize("path", ["", "/status"])
async def test_a_session_has_its_state(wadial, path):
    status, body = await wadial.get(f"/api/v1/sessions/sales{path}")
    assert status == 200
    assert body["data"]["connectionState"] == "connected"


async def test_a_session_is_connected(wadial):
    status, body = await wadial.post("/api/v1/sessions/sales/connect")
    assert (status, body["data"]["connected"]) == (200, True)


# Calls


async def test_starting_a_call_returns_its_snapshot(wadial):
    call = await started(wadial)
    assert re.fullmatch("[0-9A-F]{32}", call["callId"])
    assert call["peerJid"] == f"{ECHO}@s.whatsapp.net"
    assert (call["direction"], call["mediaType"]) == ("outgoing", "audio")
    assert call["state"] in ("initiating", "ringing", "connecting", "active")
    assert (call["transport"], call["audioMuted"]) == ("websocket", False)
    assert MOMENT.fullmatch(call["createdAt"])
    assert call["endedAt"] is None


@pytest.mark.parametrize("to", [ECHO, f"+{ECHO}", f"{ECHO}@s.whatsapp.net"])
async def test_the_peer_is_named_by_jid_or_digits(wadial, to):
    assert (await started(wadial, to))["peerJid"] == f"{ECHO}@s.whatsapp.net"


async def test_an_answered_call_is_active_with_its_time(wadial):
    call = await reached(wadial, (await started(wadial))["callId"], "active")
    assert MOMENT.fullmatch(call["startedAt"])
    assert MOMENT.fullmatch(call["answeredAt"])


async def test_calls_are_listed_live_ones_and_ended_ones(wadial):
    first = (await started(wadial, BUSY))["callId"]
    await reached(wadial, first, "ended")
    second = (await started(wadial))["callId"]
    await reached(wadial, second, "active")
    status, body = await wadial.get(CALLS)
    assert status == 200
    listed = [(call["callId"], call["state"]) for call in body["data"]]
    assert listed == [(first, "ended"), (second, "active")]


@pytest.mark.quick
async def test_an_incoming_call_is_seen_in_the_list_and_accepted(bridge, wadial):
    call_id = await ringing(bridge)
    [call] = (await wadial.get(CALLS))[1]["data"]
    assert (call["callId"], call["direction"], call["state"]) == (call_id, "incoming", "ringing")
    status, body = await wadial.post(f"{CALLS}/{call_id}/accept")
    assert (status, body["data"]["callId"]) == (200, call_id)
    await reached(wadial, call_id, "active")


async def test_an_incoming_call_is_rejected(bridge, wadial):
    call_id = await ringing(bridge)
    status, body = await wadial.post(f"{CALLS}/{call_id}/reject")
    assert (status, body["data"]["state"]) == (200, "ended")
    assert MOMENT.fullmatch(body["data"]["endedAt"])


async def test_ending_a_call_returns_its_last_snapshot(wadial):
    call_id = (await started(wadial))["callId"]
    status, body = await wadial.post(f"{CALLS}/{call_id}/end")
    assert (status, body["data"]["state"]) == (200, "ended")


@pytest.mark.parametrize("muted", [True, False])
async def test_muting_is_in_the_snapshot(wadial, muted):
    call_id = (await started(wadial))["callId"]
    status, body = await wadial.post(f"{CALLS}/{call_id}/mute", {"muted": muted})
    assert (status, body["data"]["audioMuted"]) == (200, muted)


async def test_the_transport_is_webrtc_once_a_browser_has_joined(bridge, wadial):
    call_id = (await started(wadial))["callId"]
    async with StockPeer() as peer:
        await peer.call(bridge.exchange(call_id, key=SALES))
        status, body = await wadial.get(f"{CALLS}/{call_id}")
    assert (status, body["data"]["transport"]) == (200, "webrtc")


# Errors


async def test_without_a_key_every_route_is_a_401_in_wadials_words(wadial):
    for key in (None, "wrong"):
        status, body = await wadial.as_(key).get(CALLS)
        assert status == 401
        assert body["error"]["code"] == "unauthorized"
        assert body["error"]["message"]


async def test_a_party_that_hides_its_number_is_left_to_the_provider(wadial):
    status, answer = await wadial.post(CALLS, {"to": "123456789012@lid"})
    assert (status, answer["error"]["code"]) == (502, "unreachable")


@pytest.mark.parametrize("body", [{}, {"to": ""}, {"to": "abc"}, {"to": 1.5}, {"to": "12@lid"}])
async def test_a_missing_or_malformed_peer_is_a_400_that_names_the_field(wadial, body):
    status, answer = await wadial.post(CALLS, body)
    assert status == 400
    assert (answer["error"]["code"], answer["error"]["field"]) == ("invalid_request", "to")
    assert (await wadial.get(CALLS))[1] == {"data": []}


async def test_muting_without_a_flag_is_a_400(wadial):
    call_id = (await started(wadial))["callId"]
    status, body = await wadial.post(f"{CALLS}/{call_id}/mute", {})
    assert (status, body["error"]["field"]) == (400, "muted")


async def test_an_unknown_session_is_a_404(wadial):
    for path in ("", "/status", "/calls", "/calls/0000"):
        status, body = await wadial.get(f"/api/v1/sessions/unknown{path}")
        assert (status, body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("verb", ["accept", "reject", "end", "mute"])
async def test_an_unknown_call_is_a_404(wadial, verb):
    status, body = await wadial.post(f"{CALLS}/{'0' * 32}/{verb}", {"muted": True})
    assert (status, body["error"]["code"]) == (404, "call_not_found")


@pytest.mark.parametrize("verb", ["accept", "reject", "end", "mute"])
async def test_an_ended_call_is_a_409(wadial, verb):
    call_id = (await started(wadial))["callId"]
    await wadial.post(f"{CALLS}/{call_id}/end")
    status, body = await wadial.post(f"{CALLS}/{call_id}/{verb}", {"muted": True})
    assert (status, body["error"]["code"]) == (409, "invalid_state")


@pytest.mark.parametrize("verb", ["accept", "reject"])
async def test_there_is_nothing_to_accept_or_reject_in_an_outgoing_call(wadial, verb):
    call_id = (await started(wadial, NEVER))["callId"]
    status, _ = await wadial.post(f"{CALLS}/{call_id}/{verb}")
    assert status == 409
    assert (await wadial.get(f"{CALLS}/{call_id}"))[1]["data"]["state"] != "ended"


async def test_an_unreachable_peer_is_a_502_that_names_the_ended_call(wadial):
    status, body = await wadial.post(CALLS, {"to": UNREACHABLE})
    assert (status, body["error"]["code"]) == (502, "unreachable")
    [call] = (await wadial.get(CALLS))[1]["data"]
    assert (call["callId"], call["state"]) == (body["error"]["callId"], "ended")


async def test_an_unknown_path_is_a_404_in_wadials_words(wadial):
    status, body = await wadial.get("/api/v1/nothing")
    assert (status, set(body)) == (404, {"error"})


async def test_over_the_limit_of_calls_is_a_503():
    limits = Limits(overload_seconds=0.0, calls=1)
    async with running(two_lines(limits=limits)) as client:
        wadial = Vendor(client.http)
        await started(wadial)
        status, body = await wadial.post(CALLS, {"to": ECHO})
        assert (status, body["error"]["code"]) == (503, "limit_exceeded")


async def test_a_session_that_is_not_connected_is_a_409_until_it_is(bridge, wadial):
    await bridge.post("/session/disconnect", headers={"token": SALES})
    assert (await wadial.get("/api/v1/sessions/sales"))[1]["data"]["connected"] is False
    status, body = await wadial.post(CALLS, {"to": ECHO})
    assert (status, body["error"]["code"]) == (409, "engine_off")
    await wadial.post("/api/v1/sessions/sales/connect")
    await started(wadial)


# Isolation


async def test_another_lines_session_and_calls_are_unknown(wadial):
    call_id = (await started(wadial))["callId"]
    stranger = wadial.as_(OTHER)
    assert (await stranger.get(CALLS))[0] == 404
    assert (await stranger.get("/api/v1/sessions/other/calls")) == (200, {"data": []})
    assert (await stranger.get(f"/api/v1/sessions/other/calls/{call_id}"))[0] == 404
    for verb in ("accept", "reject", "end", "mute"):
        path = f"/api/v1/sessions/other/calls/{call_id}/{verb}"
        assert (await stranger.post(path, {"muted": True}))[0] == 404
    assert (await wadial.get(f"{CALLS}/{call_id}"))[1]["data"]["state"] != "ended"
