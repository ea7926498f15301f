"""Call control over HTTP."""

import asyncio

import pytest

from tests.support.inprocess import running, with_limits
from tests.support.sampling import sample_calls

pytestmark = pytest.mark.usefixtures("nodes")

ECHO, NEVER, BUSY, UNREACHABLE = "15550100001", "15550100003", "15550100004", "15550100006"


async def test_dialling_gives_an_id_and_the_call_is_listed(client):
    response = await client.post("/call/dial", {"phone": ECHO})
    assert response.status == 200
    body = await response.json()
    assert (body["code"], body["success"]) == (200, True)
    [call] = await client.calls()
    assert call["callId"] == body["data"]["callId"]
    assert call["peer"] == f"{ECHO}@s.whatsapp.net"
    assert call["direction"] == "outbound"
    assert (call["video"], call["recording"]) == (False, False)
    assert call["startedAt"].endswith("Z")


async def test_a_contact_that_answers_makes_the_call_active(client):
    await client.until_state(await client.dial(ECHO), "active")


@pytest.mark.parametrize("spelling", ["callId", "callID", "CallID", "call_id"])
async def test_a_call_is_named_in_any_spelling(client, spelling):
    call_id = await client.dial(ECHO)
    response = await client.post("/call/hangup", {spelling: call_id})
    assert response.status == 200
    assert await client.calls() == []


async def test_the_body_is_read_whatever_its_content_type_says(client):
    response = await client.post("/call/dial", data=f'{{"phone":"{ECHO}"}}'.encode())
    assert response.status == 200


@pytest.mark.parametrize("phone", ["+15550100001", "15550100001@s.whatsapp.net", 15550100001])
async def test_a_number_is_read_in_the_forms_people_use(client, phone):
    await client.dial(phone)
    [call] = await client.calls()
    assert call["peer"] == f"{ECHO}@s.whatsapp.net"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"phone": ""},
        {"phone": "abc"},
        {"phone": "0123456789"},
        {"phone": []},
        {"phone": True},
        {"phone": None},
    ],
)
async def test_a_missing_or_malformed_number_is_a_400_that_names_the_field(client, body):
    response = await client.post("/call/dial", body)
    assert response.status == 400
    answer = await response.json()
    assert answer["success"] is False
    assert answer["field"] == "phone"
    assert await client.calls() == []


async def test_an_empty_body_is_an_empty_object(client):
    response = await client.post("/call/dial")
    assert "missing phone" in (await response.json())["error"]


@pytest.mark.parametrize("text", ["{", "[]", '"text"', "\xff", "nul"])
async def test_a_body_that_is_no_json_object_is_a_400(client, text):
    response = await client.post("/call/dial", data=text.encode("latin-1"))
    assert response.status == 400


async def test_an_unreachable_number_is_a_502_and_leaves_no_call(client):
    response = await client.post("/call/dial", {"phone": UNREACHABLE})
    assert response.status == 502
    assert await client.calls() == []


async def test_a_busy_contact_ends_the_call_as_busy(client):
    call_id = await client.dial(BUSY)
    await client.until_state(call_id, "gone")
    assert (await client.quality(call_id))["endReason"] == "busy"


async def test_wago_makes_calls_in_its_own_words(client):
    response = await client.post("/call/make", {"Phone": ECHO})
    body = await response.json()
    assert body["call"]["callID"] == body["data"]["call"]["callID"]
    assert await client.state(body["call"]["callID"]) != "gone"


async def test_an_incoming_call_rings_until_it_is_answered(client):
    call_id = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    [call] = await client.calls()
    assert (call["state"], call["direction"]) == ("ringing", "inbound")
    assert await client.data("/call/answer", {"callId": call_id}) == {"ok": True}
    await client.until_state(call_id, "active")


async def test_hanging_up_a_ringing_incoming_call_rejects_it(client):
    call_id = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    await client.data("/call/hangup", {"callId": call_id})
    assert (await client.quality(call_id))["endReason"] == "rejected"


async def test_there_is_nothing_to_answer_in_an_outbound_call(client):
    response = await client.post("/call/answer", {"callId": await client.dial(NEVER)})
    assert response.status == 409


VERBS: dict[str, dict[str, object]] = {
    "answer": {},
    "hangup": {},
    "mute": {"muted": True},
    "dtmf": {"digits": "1"},
}


@pytest.mark.parametrize("verb", VERBS)
async def test_an_unknown_call_is_a_404(client, verb):
    response = await client.post(f"/call/{verb}", {"callId": "00FF", **VERBS[verb]})
    assert response.status == 404


@pytest.mark.parametrize("verb", VERBS)
async def test_an_ended_call_is_a_404_too(client, verb):
    call_id = await client.dial(ECHO)
    await client.data("/call/hangup", {"callId": call_id})
    response = await client.post(f"/call/{verb}", {"callId": call_id, **VERBS[verb]})
    assert response.status == 404


@pytest.mark.parametrize("body", [{}, {"muted": "yes"}, {"muted": 1}])
async def test_mute_needs_a_boolean(client, body):
    call_id = await client.dial(ECHO)
    response = await client.post("/call/mute", {"callId": call_id, **body})
    assert response.status == 400
    assert (await response.json())["field"] == "muted"


@pytest.mark.parametrize("digits", ["", "x", "12 3", "1" * 65])
async def test_digits_are_checked(client, digits):
    call_id = await client.dial(ECHO)
    response = await client.post("/call/dtmf", {"callId": call_id, "digits": digits})
    assert response.status == 400


async def test_digits_need_an_answered_call(client):
    response = await client.post("/call/dtmf", {"callId": await client.dial(NEVER), "digits": "1"})
    assert response.status == 409


async def test_digits_reach_the_contact(client):
    call_id = await client.dial(ECHO)
    await client.until_state(call_id, "active")
    await client.data("/call/dtmf", {"callId": call_id, "digits": "12#a"})
    [runner] = client.bridge.manager.calls()
    [far] = runner.legs()
    assert far.digits == "12#A"


async def test_a_channel_we_do_not_know_is_a_400(client):
    response = await client.post("/call/dial", {"channel": "pigeon"})
    assert response.status == 400


async def test_a_call_for_a_browser_rings_until_it_comes(client):
    call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
    assert await client.state(call_id) == "ringing"


async def test_more_calls_than_the_limit_are_a_503_that_says_when_to_retry():
    async with running(with_limits(calls=1)) as client:
        await client.dial(ECHO)
        response = await client.post("/call/dial", {"phone": ECHO})
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0


async def test_more_calls_of_a_line_than_its_limit_are_refused():
    async with running(with_limits(calls_per_line=1)) as client:
        call_id = await client.dial(ECHO)
        assert (await client.post("/call/dial", {"phone": ECHO})).status == 503
        await client.data("/call/hangup", {"callId": call_id})
        await client.dial(ECHO)


async def test_an_ended_call_is_forgotten_after_its_retention():
    async with running(with_limits(kept_seconds=0.0)) as client:
        call_id = await client.dial(ECHO)
        await client.data("/call/hangup", {"callId": call_id})
        sample_calls(client.bridge.manager, asyncio.get_running_loop().time() + 1)
        assert (await client.post("/call/hangup", {"callId": call_id})).status == 404
