"""A Chirp client against the bridge, written from the vendor's document alone."""

import asyncio
import re
from typing import Any

import pytest

from bridge.settings.model import Limits, Line, WhatsApp
from tests.support.clients.vendor import (
    BUSY,
    ECHO,
    HANGS_UP,
    NEVER,
    NUMBER,
    OTHER,
    REJECTS,
    SALES,
    TEST,
    UNREACHABLE,
    Vendor,
    two_lines,
)
from tests.support.inprocess import running
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until, until_answer

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FIELDS = {
    "id",
    "appId",
    "direction",
    "status",
    "fromAddress",
    "toAddress",
    "fromChannel",
    "toChannel",
    "duration",
    "endReason",
    "metadata",
    "livekitRoomName",
    "startedAt",
    "answeredAt",
    "endedAt",
    "createdAt",
}
"""What the document lists."""


@pytest.fixture
async def bridge():
    async with running(two_lines()) as client:
        yield client


@pytest.fixture
def chirp(bridge):
    return Vendor(bridge.http)


def to_whatsapp(number: str = ECHO, **more: Any) -> dict[str, Any]:
    """A call from a browser to a WhatsApp user."""
    call = {"from": "webrtc-user-1", "fromChannel": "webrtc"}
    return call | {"to": f"+{number}", "toChannel": "whatsapp"} | more


def to_browser(**more: Any) -> dict[str, Any]:
    """A call from one browser to another."""
    call = {"from": "webrtc-user-1", "fromChannel": "webrtc"}
    return call | {"to": "webrtc-user-2", "toChannel": "webrtc"} | more


async def created(chirp, body: dict[str, Any]) -> dict[str, Any]:
    status, call = await chirp.post("/v1/calls", body)
    assert status == 200, call
    return dict(call)


async def reached(chirp, call_id: str, status: str) -> dict[str, Any]:
    async def shown() -> dict[str, Any] | None:
        _, call = await chirp.get(f"/v1/calls/{call_id}")
        return dict(call) if call["status"] == status else None

    return await until_answer(shown) or {}


# Calls


async def test_creating_a_call_returns_the_whole_call_object(chirp):
    call = await created(chirp, to_whatsapp(metadata={"order": {"id": 7}}))
    assert set(call) >= FIELDS
    assert re.fullmatch("call_[0-9A-Za-z]{27}", call["id"])
    assert call["direction"] == "outbound"
    assert call["status"] in ("initiated", "ringing", "in_progress")
    assert (call["fromAddress"], call["toAddress"]) == ("webrtc-user-1", f"+{ECHO}")
    assert (call["fromChannel"], call["toChannel"]) == ("webrtc", "whatsapp")
    assert call["metadata"] == {"order": {"id": 7}}
    assert MOMENT.fullmatch(call["createdAt"])
    assert (call["duration"], call["endReason"], call["endedAt"]) == (None, None, None)


@pytest.mark.quick
async def test_an_answered_call_is_in_progress(chirp):
    call = await reached(chirp, (await created(chirp, to_whatsapp()))["id"], "in_progress")
    assert MOMENT.fullmatch(call["startedAt"])
    assert MOMENT.fullmatch(call["answeredAt"])


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [(BUSY, "busy", "busy"), (REJECTS, "failed", "rejected")],
)
async def test_a_call_that_is_not_answered_has_a_reason(chirp, number, status, reason):
    call = await reached(chirp, (await created(chirp, to_whatsapp(number)))["id"], status)
    assert (call["endReason"], call["duration"], call["answeredAt"]) == (reason, 0, None)
    assert MOMENT.fullmatch(call["endedAt"])


async def test_a_call_that_the_other_side_ends_is_completed():
    async with running(two_lines()) as client:
        chirp = Vendor(client.http)
        call_id = (await created(chirp, to_whatsapp(HANGS_UP)))["id"]
        call = await reached(chirp, call_id, "completed")
    assert (call["endReason"], call["duration"]) == ("hangup", 3)


async def test_a_call_from_the_applications_number_rings_a_whatsapp_user(chirp):
    body = {"from": NUMBER, "fromChannel": "whatsapp", "to": f"+{ECHO}", "toChannel": "whatsapp"}
    call = await created(chirp, body)
    assert call["livekitRoomName"] is None
    await reached(chirp, call["id"], "in_progress")


async def test_calls_are_listed_newest_first_ended_ones_too(chirp):
    ids = [(await created(chirp, to_whatsapp(BUSY)))["id"] for _ in range(3)]
    await asyncio.gather(*(reached(chirp, call_id, "busy") for call_id in ids))
    ids.append((await created(chirp, to_browser()))["id"])
    status, body = await chirp.get("/v1/calls")
    assert (status, body["totalCount"]) == (200, 4)
    assert [call["id"] for call in body["data"]] == ids[::-1]
    _, page = await chirp.get("/v1/calls?limit=2&offset=1")
    assert [call["id"] for call in page["data"]] == [ids[2], ids[1]]
    assert page["totalCount"] == 4


async def test_an_inbound_call_has_both_parties(bridge, chirp):
    await bridge.post("/simulator/incoming", {"from": ECHO}, headers={"token": SALES})
    [call] = (await chirp.get("/v1/calls"))[1]["data"]
    assert (call["direction"], call["status"]) == ("inbound", "ringing")
    assert (call["fromAddress"], call["toAddress"]) == (f"+{ECHO}", NUMBER)
    assert (call["fromChannel"], call["toChannel"]) == ("whatsapp", "whatsapp")


# Keys


async def test_a_test_key_is_shown_test_ids_of_its_own_calls(chirp):
    await created(chirp, to_browser())
    tester = chirp.as_(TEST)
    made = await created(tester, to_browser())
    assert re.fullmatch("call_test_[0-9A-Za-z]{27}", made["id"])
    assert (await tester.get("/v1/calls"))[1]["data"] == [made]
    for form in (made["id"], made["id"].replace("call_test_", "call_")):
        assert (await tester.get(f"/v1/calls/{form}"))[1]["id"] == made["id"]


async def test_one_call_has_the_same_id_in_every_face(bridge, chirp):
    call_id = (await created(chirp, to_whatsapp()))["id"]
    listed = await bridge.get("/call/status", headers={"token": SALES})
    [native] = (await listed.json())["data"]["calls"]
    assert (await chirp.get(f"/v1/calls/{native['callId']}"))[1]["id"] == call_id
    quality = await bridge.get(f"/call/{call_id}/quality", headers={"token": SALES})
    assert quality.status == 200


# Browsers


async def test_a_browser_is_waited_for_and_talks_with_the_one_that_called(bridge, chirp):
    call = await created(chirp, to_browser())
    assert call["status"] == "ringing"
    room = call["livekitRoomName"]
    assert room.startswith("room_")
    tickets = [await ticket(chirp, room, f"webrtc-user-{user}") for user in (1, 2)]
    assert [found["party"] for found in tickets] == ["near", "far"]
    async with StockPeer(tone(10)) as caller, StockPeer() as called:
        await caller.call(exchange(bridge, tickets[0]))
        assert (await chirp.get(f"/v1/calls/{call['id']}"))[1]["status"] == "ringing"
        await called.call(exchange(bridge, tickets[1]))
        await reached(chirp, call["id"], "in_progress")
        await until(lambda: abs(called.heard()).max(initial=0) > 1000)


async def test_a_browser_talks_with_a_whatsapp_user(bridge, chirp):
    call = await created(chirp, to_whatsapp())
    found = await ticket(chirp, call["livekitRoomName"], "webrtc-user-1")
    assert found["party"] == "near"
    async with StockPeer(tone(10)) as caller:
        await caller.call(exchange(bridge, found))
        await until(lambda: abs(caller.heard()).max(initial=0) > 1000)


async def test_a_whatsapp_number_calls_a_browser(bridge, chirp):
    body = {"from": NUMBER, "fromChannel": "whatsapp", "to": "agent-7", "toChannel": "webrtc"}
    call = await created(chirp, body)
    assert call["status"] == "ringing"
    found = await ticket(chirp, call["livekitRoomName"], "agent-7")
    async with StockPeer() as called:
        await called.call(exchange(bridge, found))
        await reached(chirp, call["id"], "in_progress")


async def test_a_browser_that_never_comes_is_no_answer():
    limits = Limits(overload_seconds=0.0, ring_seconds=0.05)
    async with running(two_lines(limits=limits)) as client:
        chirp = Vendor(client.http)
        call_id = (await created(chirp, to_browser()))["id"]
        call = await reached(chirp, call_id, "no_answer")
    assert (call["endReason"], call["answeredAt"]) == ("no_answer", None)


async def ticket(chirp, room: str, identity: str) -> dict[str, Any]:
    body = {"roomName": room, "participantIdentity": identity, "ttl": 60}
    status, found = await chirp.post("/v1/calls/token", body)
    assert status == 200, found
    return dict(found)


def exchange(bridge, found: dict[str, Any]) -> Any:
    return bridge.exchange(found["callId"], key=found["token"], party=found["party"])


async def test_a_token_says_until_when_it_is_good(chirp):
    call = await created(chirp, to_browser())
    found = await ticket(chirp, call["livekitRoomName"], "webrtc-user-2")
    assert isinstance(found["expiresAt"], int)
    assert isinstance(found["token"], str)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"roomName": None}, "roomName"),
        ({"participantIdentity": ""}, "participantIdentity"),
        ({"participantName": 1}, "participantName"),
        ({"ttl": 59}, "ttl"),
        ({"ttl": 86401}, "ttl"),
        ({"ttl": "60"}, "ttl"),
    ],
)
async def test_a_token_needs_a_room_an_identity_and_a_fair_time(chirp, changed, field):
    room = (await created(chirp, to_browser()))["livekitRoomName"]
    body = {"roomName": room, "participantIdentity": "webrtc-user-2"} | changed
    status, answer = await chirp.post("/v1/calls/token", body)
    assert (status, answer["field"]) == (400, field)


@pytest.mark.parametrize("room", ["room_" + "0" * 27, "my-room"])
async def test_a_room_that_is_not_there_is_a_404(chirp, room):
    body = {"roomName": room, "participantIdentity": "webrtc-user-2"}
    status, answer = await chirp.post("/v1/calls/token", body)
    assert (status, set(answer)) == (404, {"error"})


# Errors


async def test_without_a_key_every_route_is_a_401_with_a_bare_error(chirp):
    for key in (None, "sk_live_app_unknown"):
        status, body = await chirp.as_(key).get("/v1/calls")
        assert (status, set(body)) == (401, {"error"})
        assert (await chirp.as_(key).post("/v1/calls", to_browser()))[0] == 401


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"from": None}, "from"),
        ({"to": None}, "to"),
        ({"to": ""}, "to"),
        ({"to": ECHO}, "to"),
        ({"to": "+1 555 010 0001"}, "to"),
        ({"to": "+1-555-010-0001"}, "to"),
        ({"to": f"{ECHO}@s.whatsapp.net"}, "to"),
        ({"to": "+05550100001"}, "to"),
        ({"to": 15550100001}, "to"),
        ({"toChannel": "sip"}, "toChannel"),
        ({"fromChannel": 1}, "fromChannel"),
        ({"fromChannel": "whatsapp", "from": "+15550109001"}, "from"),
        ({"fromChannel": "whatsapp", "from": NUMBER[1:]}, "from"),
        ({"fromChannel": "pstn", "from": "webrtc-user-1"}, "from"),
        ({"from": "a" * 129}, "from"),
        ({"from": "a\n"}, "from"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": {"a": "b" * 20_000}}, "metadata"),
    ],
)
async def test_a_malformed_call_is_a_400_that_names_the_field(chirp, changed, field):
    status, body = await chirp.post("/v1/calls", to_whatsapp() | changed)
    assert (status, body["field"]) == (400, field)
    assert (await chirp.get("/v1/calls"))[1] == {"data": [], "totalCount": 0}


@pytest.mark.parametrize(
    "body",
    [
        {"from": NUMBER, "to": "+15551234567"},
        {"from": "webrtc-user-1", "fromChannel": "webrtc", "to": "+15551234567"},
    ],
)
async def test_the_telephone_network_is_a_501_that_says_what_is_missing(chirp, body):
    status, answer = await chirp.post("/v1/calls", body)
    assert status == 501
    assert "SIP" in answer["error"]


async def test_an_official_whatsapp_call_to_the_telephone_network_is_refused_by_name():
    whatsapp = WhatsApp(
        provider="cloud",
        phone_number_id="1",
        access_token="a",
        app_secret="b",
        verify_token="c",
    )
    line = Line(keys=[SALES], numbers=[NUMBER], whatsapp=whatsapp)
    async with running(two_lines(lines={"sales": line})) as client:
        chirp = Vendor(client.http)
        status, body = await chirp.post(
            "/v1/calls", {"from": NUMBER, "to": f"+{ECHO}", "toChannel": "whatsapp"}
        )
    assert status == 403
    assert "Meta forbids" in body["error"]


async def test_an_unreachable_number_is_a_502(chirp):
    status, body = await chirp.post("/v1/calls", to_whatsapp(UNREACHABLE))
    assert (status, set(body)) == (502, {"error", "callId"})


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "offset=-1", "offset=1e9"])
async def test_a_page_that_cannot_be_is_a_400(chirp, query):
    status, body = await chirp.get(f"/v1/calls?{query}")
    assert (status, body["field"]) == (400, query.split("=", maxsplit=1)[0])


@pytest.mark.parametrize("call_id", ["call_" + "0" * 27, "call_test_" + "0" * 27, "unknown"])
async def test_an_unknown_call_is_a_404(chirp, call_id):
    status, body = await chirp.get(f"/v1/calls/{call_id}")
    assert (status, set(body)) == (404, {"error"})


async def test_over_the_limit_of_calls_is_a_503_and_of_requests_a_429():
    limits = Limits(overload_seconds=0.0, calls=1, requests_per_minute=2)
    async with running(two_lines(limits=limits)) as client:
        chirp = Vendor(client.http)
        await created(chirp, to_browser())
        assert (await chirp.post("/v1/calls", to_browser()))[0] == 503
        status, body = await chirp.post("/v1/calls", to_browser())
    assert (status, set(body)) == (429, {"error"})


@pytest.mark.parametrize("body", [to_whatsapp(), to_browser()])
async def test_a_line_that_is_not_connected_is_a_409(bridge, chirp, body):
    await bridge.post("/session/disconnect", headers={"token": SALES})
    status, answer = await chirp.post("/v1/calls", body)
    assert (status, set(answer)) == (409, {"error"})


# Isolation


async def test_another_application_sees_nothing_of_a_call(chirp):
    call = await created(chirp, to_browser())
    stranger = chirp.as_(OTHER)
    assert (await stranger.get("/v1/calls"))[1] == {"data": [], "totalCount": 0}
    assert (await stranger.get(f"/v1/calls/{call['id']}"))[0] == 404
    body = {"roomName": call["livekitRoomName"], "participantIdentity": "webrtc-user-2"}
    assert (await stranger.post("/v1/calls/token", body))[0] == 404
    path = f"/v1/calls/{call['id']}/commands"
    assert (await stranger.post(path, {"type": "hangup"}))[0] == 404
    assert (await chirp.get(f"/v1/calls/{call['id']}"))[1]["status"] == "ringing"


async def test_a_number_of_another_application_is_not_ones_own(chirp):
    body = {"from": NUMBER, "fromChannel": "whatsapp", "to": f"+{NEVER}", "toChannel": "whatsapp"}
    status, answer = await chirp.as_(OTHER).post("/v1/calls", body)
    assert (status, answer["field"]) == (400, "from")
