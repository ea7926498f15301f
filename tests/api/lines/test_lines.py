"""A line's settings and connection over HTTP, as ZuckZapGo and WaGo document them."""

import asyncio

import pytest

from bridge.call.model import LineName
from bridge.settings.model import Line
from tests.support.inprocess import KEY, running, settings
from tests.support.two_nodes import two_nodes
from tests.support.waiting import until_answer

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]

ECHO, NEVER = "15550100001", "15550100003"
MODES = ["manual", "webhook", "bot", "ivr", "ai", "reject"]
TWO_LINES = {
    "sales": Line(keys=["sales-1"], numbers=["15550109000"]),
    "support": Line(keys=["support-1"]),
}


async def put(client, body, key=KEY):
    return await client.http.put("/call/config", json=body, headers=key)


async def config(client, key=KEY):
    return (await (await client.get("/call/config", headers=key)).json())["data"]


async def reconnect(client) -> None:
    await client.data("/session/disconnect", {})
    await client.data("/session/connect", {"Subscribe": ["Message", "Call"], "Immediate": True})


async def in_mode(client, mode: str) -> None:
    assert (await put(client, {"callsEnabled": True, "callInboundMode": mode})).status == 200
    await reconnect(client)


async def ended(client, call_id: str) -> str:
    async def reason():
        return (await client.quality(call_id))["endReason"]

    return str(await until_answer(reason))


async def test_a_fresh_line_is_on_and_in_manual_mode(client):
    assert await config(client) == {
        "callsEnabled": True,
        "callInboundMode": "manual",
        "callRecord": False,
        "callSttUrl": "",
        "callLlmUrl": "",
        "callTtsUrl": "",
        "callStreamUrl": "",
        "callStreamProtocol": "native",
        "callSystemPrompt": "",
        "callGreeting": "",
    }


async def test_what_is_put_is_read_again_but_for_the_token(client):
    wanted = {
        "callsEnabled": True,
        "callInboundMode": "ai",
        "callRecord": True,
        "callSttUrl": "https://stt.example/x",
        "callLlmUrl": "https://llm.example/x",
        "callTtsUrl": "https://tts.example/x",
        "callStreamUrl": "wss://agent.example/x",
        "callStreamProtocol": "twilio",
        "callSystemPrompt": "Be kind.",
        "callGreeting": "Hello",
    }
    response = await put(client, wanted | {"callProviderToken": "secret-token"})
    assert (await response.json())["data"] == {"ok": True}
    assert await config(client) == wanted
    shown = await (await client.get("/call/config")).text()
    assert "secret-token" not in shown


async def test_null_clears_what_was_set_and_a_missing_field_keeps_it(client):
    texts = {
        "callSttUrl": "https://stt.example/x",
        "callLlmUrl": "https://llm.example/x",
        "callTtsUrl": "https://tts.example/x",
        "callStreamUrl": "wss://agent.example/x",
        "callSystemPrompt": "Be kind.",
        "callGreeting": "Hello",
    }
    wanted = {
        "callsEnabled": True,
        "callInboundMode": "ai",
        "callRecord": True,
        "callStreamProtocol": "twilio",
    } | texts
    await put(client, wanted)
    await put(client, {"callInboundMode": "ai"})
    assert await config(client) == wanted
    cleared = dict.fromkeys([*texts, "callStreamProtocol"])
    sent = {"callsEnabled": True, "callInboundMode": "manual", "callRecord": None} | cleared
    assert (await put(client, sent)).status == 200
    assert await config(client) == (
        {"callsEnabled": True, "callInboundMode": "manual", "callRecord": False}
        | dict.fromkeys(texts, "")
        | {"callStreamProtocol": "native"}
    )


async def test_null_clears_the_providers_token(client):
    await put(client, {"callLlmUrl": "https://llm.example/x", "callProviderToken": "secret-token"})
    lines = client.bridge.lines.lines
    assert lines.stored(LineName("demo")).provider_token == "secret-token"
    await put(client, {"callLlmUrl": "https://llm.example/x", "callProviderToken": None})
    await lines.reload()
    assert lines.stored(LineName("demo")).provider_token == ""


@pytest.mark.parametrize("mode", MODES)
async def test_every_documented_mode_is_taken(client, mode):
    await put(client, {"callsEnabled": True, "callInboundMode": mode})
    assert (await config(client))["callInboundMode"] == mode


@pytest.mark.parametrize("body", [{"callInboundMode": ""}, {"callInboundMode": None}, {}])
async def test_an_empty_mode_means_webhook(client, body):
    await put(client, body)
    assert (await config(client))["callInboundMode"] == "webhook"


@pytest.mark.parametrize("wrong", ["robot", 5, ["ai"], {"ai": 1}, True])
async def test_a_mode_that_is_none_is_a_400_that_lists_the_documented_six_first(client, wrong):
    response = await put(client, {"callInboundMode": wrong})
    assert response.status == 400
    error = (await response.json())["error"]
    assert error.endswith("one of " + ", ".join([*MODES, "voicemail", "stream"]))
    assert (await config(client))["callInboundMode"] == "manual"


async def test_a_line_answers_into_a_stream_only_if_it_says_where(client):
    response = await put(client, {"callInboundMode": "stream"})
    body = await response.json()
    assert (response.status, body["field"]) == (400, "callStreamUrl")
    assert "ws or wss URL" in body["error"]
    url = {"callInboundMode": "stream", "callStreamUrl": "wss://agent.example/x"}
    assert (await put(client, url)).status == 200
    assert (await put(client, {"callInboundMode": "stream", "callRecord": True})).status == 200
    assert (await put(client, {"callInboundMode": "stream", "callStreamUrl": None})).status == 400
    assert (await config(client))["callStreamUrl"] == "wss://agent.example/x"


async def test_a_stream_url_of_another_origin_clears_the_providers_token(client):
    url = {"callInboundMode": "stream", "callStreamUrl": "wss://agent.example/x"}
    await put(client, url | {"callProviderToken": "secret-token"})
    lines = client.bridge.lines.lines
    await put(client, url | {"callStreamUrl": "wss://agent.example/y"})
    await lines.reload()
    assert lines.stored(LineName("demo")).provider_token == "secret-token"
    await put(client, url | {"callStreamUrl": "wss://other.example/x"})
    await lines.reload()
    assert lines.stored(LineName("demo")).provider_token == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("callsEnabled", "yes"),
        ("callRecord", 1),
        ("callSttUrl", "ftp://stt.example"),
        ("callLlmUrl", 5),
        ("callStreamUrl", "https://agent.example"),
        ("callStreamProtocol", "vonage"),
        ("callGreeting", []),
        ("callSystemPrompt", "x" * 40_000),
    ],
)
async def test_a_wrong_value_is_a_400_that_names_the_field(client, field, value):
    response = await put(client, {field: value})
    assert response.status == 400
    assert (await response.json())["field"] == field


async def test_what_is_put_takes_effect_at_the_next_connect(client):
    await put(client, {"callsEnabled": False, "callInboundMode": "manual"})
    await client.dial(NEVER)
    await reconnect(client)
    assert (await client.post("/call/dial", {"phone": NEVER})).status == 409
    await put(client, {"callsEnabled": True, "callInboundMode": "manual"})
    assert (await client.post("/call/dial", {"phone": NEVER})).status == 409
    await reconnect(client)
    await client.dial(NEVER)


async def test_without_its_engine_every_call_route_is_a_409(client):
    await client.data("/session/disconnect", {})
    call = {"callId": "00" + 30 * "A"}
    legacy = {"call_id": call["callId"], "call_from": f"{NEVER}@s.whatsapp.net"}
    bodies = {
        "/call/dial": {"phone": NEVER},
        "/call/answer": call,
        "/call/hangup": call,
        "/call/mute": call | {"muted": True},
        "/call/dtmf": call | {"digits": "1"},
        "/call/make": {"Phone": NEVER},
        "/call/end": {"callID": call["callId"]},
        "/call/accept": {"callID": call["callId"]},
        "/call/reject": {"callID": call["callId"]},
        "/call/preaccept": legacy,
        "/call/reject/send": legacy,
        "/call/terminate": legacy,
    }
    for path, body in bodies.items():
        response = await client.post(path, body)
        assert response.status == 409, path
        assert "engine not enabled" in (await response.json())["error"]
    for path in ("/call/status", "/call/list"):
        assert (await client.get(path)).status == 409, path


async def test_a_line_that_is_switched_off_keeps_no_call(client):
    call_id = await client.dial(NEVER)
    await client.data("/session/disconnect", {})
    assert await ended(client, call_id) in ("hangup", "canceled")


async def test_connecting_again_with_the_engine_on_keeps_the_calls(client):
    call_id = await client.dial(NEVER)
    await client.data("/session/connect", {})
    assert await client.state(call_id) != "gone"


async def test_reject_mode_rejects_who_rings(client):
    await in_mode(client, "reject")
    call_id = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    assert await ended(client, call_id) == "rejected"


async def test_reject_mode_still_dials(client):
    await in_mode(client, "reject")
    assert await client.state(await client.dial(NEVER)) != "gone"


async def test_webhook_mode_answers_who_rings(client):
    await in_mode(client, "webhook")
    call_id = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    await client.until_state(call_id, "active")


async def test_manual_mode_lets_it_ring_until_it_is_answered(client):
    await in_mode(client, "manual")
    call_id = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    await asyncio.sleep(0.1)
    assert await client.state(call_id) == "ringing"
    await client.data("/call/answer", {"callId": call_id})


async def test_who_rings_a_line_that_is_off_is_rejected(client):
    await client.data("/session/disconnect", {})
    response = await client.post("/simulator/incoming", {"from": ECHO})
    call_id = (await response.json())["data"]["callId"]
    assert await ended(client, call_id) == "rejected"


async def test_the_session_is_shown_in_both_vendors_spellings():
    async with running(settings(lines=TWO_LINES)) as client:
        key = {"token": "sales-1"}
        await client.post("/session/connect", {"Subscribe": ["Message", "Call"]}, headers=key)
        response = await client.get("/session/status", headers=key)
        data = (await response.json())["data"]
        expected = {"connected": True, "loggedIn": True, "events": "Message,Call"}
        expected["jid"] = "15550109000@s.whatsapp.net"
        for name, value in expected.items():
            assert data[name] == value
            assert data[name[0].upper() + name[1:]] == value


async def test_a_line_that_disconnected_shows_it(client):
    await client.data("/session/disconnect", {})
    data = (await (await client.get("/session/status")).json())["data"]
    assert (data["Connected"], data["connected"]) == (False, False)


@pytest.mark.parametrize("wish", ["Call", [1], ["x" * 65], ["Call"] * 65])
async def test_a_subscription_that_is_no_list_of_words_is_a_400(client, wish):
    response = await client.post("/session/connect", {"Subscribe": wish})
    assert response.status == 400
    assert (await response.json())["field"] == "Subscribe"


async def test_one_lines_settings_leave_another_alone():
    async with running(settings(lines=TWO_LINES)) as client:
        mine, theirs = {"token": "sales-1"}, {"token": "support-1"}
        call = await client.post("/call/dial", {"phone": NEVER}, headers=theirs)
        await put(client, {"callsEnabled": False, "callGreeting": "Hello"}, mine)
        await client.post("/session/connect", {}, headers=mine)
        assert (await client.post("/call/dial", {"phone": NEVER}, headers=mine)).status == 409
        assert (await config(client, theirs))["callGreeting"] == ""
        listed = await (await client.get("/call/status", headers=theirs)).json()
        assert [c["callId"] for c in listed["data"]["calls"]] == [
            (await call.json())["data"]["callId"]
        ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/call/config"),
        ("PUT", "/call/config"),
        ("POST", "/session/connect"),
        ("POST", "/session/disconnect"),
        ("GET", "/session/status"),
    ],
)
async def test_a_line_is_set_and_shown_with_its_key_only(client, method, path):
    response = await client.http.request(method, path, headers={"token": "wrong"})
    assert response.status == 401


async def test_the_server_says_that_it_is_up_without_a_key(client):
    response = await client.get("/server/ok", headers={})
    assert response.status == 200
    assert (await response.json())["success"] is True


async def test_what_one_node_is_told_holds_on_all_at_once_and_ends_their_calls():
    async with two_nodes() as (first, second):
        response = await second.http.post("/call/dial", json={"phone": NEVER}, headers=KEY)
        call_id = (await response.json())["data"]["callId"]
        await first.http.post("/session/disconnect", json={}, headers=KEY)
        response = await second.http.post("/call/dial", json={"phone": NEVER}, headers=KEY)
        assert response.status == 409
        record = second.bridge.manager.record(LineName("demo"), call_id)
        assert record.state == "ended"


@pytest.mark.parametrize(("mode", "then"), [("webhook", "call.answered"), ("reject", "leg.left")])
async def test_an_inbound_call_is_decided_at_once_after_its_far_party_joined(client, mode, then):
    await in_mode(client, mode)
    types: list[str] = []
    client.bridge.manager.publisher.subscribe(lambda event: types.append(event.type))
    await client.data("/simulator/incoming", {"from": ECHO})
    assert types[:4] == ["call.initiated", "call.ringing", "leg.joined", then]
