"""A client written from ZuckZapGo's guide: the engine's routes, and the older signalling."""

import re

import pytest

from bridge.settings.model import Line
from tests.support.inprocess import running, settings
from tests.support.two_nodes import nodes as nodes
from tests.support.waiting import until_answer

pytestmark = pytest.mark.usefixtures("nodes")

ECHO, NEVER, UNREACHABLE = "15550100001", "15550100003", "15550100006"
CALLER = f"{ECHO}@s.whatsapp.net"
NOBODY = "00" + 30 * "A"


@pytest.fixture
async def client():
    async with running() as bridge:
        yield bridge


class ZuckZapGo:
    """What the guide says, and nothing else."""

    def __init__(self, client, token="demo"):
        self._client = client
        self._headers = {"token": token}

    async def post(self, path, body):
        response = await self._client.post(path, body, headers=self._headers)
        return response.status, await response.json()

    async def data(self, path, body):
        status, reply = await self.post(path, body)
        assert (status, reply["code"], reply["success"]) == (200, 200, True), reply
        return reply["data"]

    async def calls(self):
        response = await self._client.get("/call/status", headers=self._headers)
        return (await response.json())["data"]["calls"]

    async def state(self, call_id):
        return next((c["state"] for c in await self.calls() if c["callId"] == call_id), "gone")

    async def becomes(self, call_id, state):
        async def reached():
            return await self.state(call_id) == state

        await until_answer(reached)


@pytest.fixture
async def zapgo(client):
    return ZuckZapGo(client)


@pytest.fixture
async def ringing(client) -> str:
    return str((await client.data("/simulator/incoming", {"from": ECHO}))["callId"])


# The engine


@pytest.mark.quick
async def test_an_outbound_call_from_dial_to_hangup(zapgo):
    call_id = (await zapgo.data("/call/dial", {"phone": ECHO, "video": False}))["callId"]
    await zapgo.becomes(call_id, "active")
    [call] = await zapgo.calls()
    assert set(call) == {
        "callId",
        "peer",
        "from",
        "to",
        "state",
        "direction",
        "video",
        "recording",
        "startedAt",
    }
    assert (call["peer"], call["direction"]) == (CALLER, "outbound")
    assert await zapgo.data("/call/hangup", {"callId": call_id}) == {"ok": True}
    assert await zapgo.calls() == []


async def test_an_inbound_call_is_found_by_polling_and_answered(zapgo, ringing):
    [call] = await zapgo.calls()
    assert (call["callId"], call["direction"], call["state"]) == (ringing, "inbound", "ringing")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", call["startedAt"])
    assert await zapgo.data("/call/answer", {"callId": ringing}) == {"ok": True}
    await zapgo.becomes(ringing, "active")


async def test_hanging_up_declines_who_rings(client, zapgo, ringing):
    await zapgo.data("/call/hangup", {"callId": ringing})
    assert (await client.quality(ringing))["endReason"] == "rejected"


async def test_video_is_taken_and_there_is_none(zapgo):
    assert (await zapgo.data("/call/dial", {"phone": NEVER, "video": True}))["video"] is False
    [call] = await zapgo.calls()
    assert call["video"] is False


@pytest.mark.parametrize(
    "phone", [NEVER, f"{NEVER}@s.whatsapp.net", f"{NEVER}:3@s.whatsapp.net", f"+{NEVER}"]
)
async def test_a_phone_may_be_digits_or_a_jid(zapgo, phone):
    await zapgo.data("/call/dial", {"phone": phone})


@pytest.mark.parametrize("body", [{}, {"phone": ""}, {"phone": None}, {"phone": "abc"}])
async def test_a_missing_phone_is_a_400(zapgo, body):
    status, reply = await zapgo.post("/call/dial", body)
    assert (status, reply["code"], reply["success"], reply["field"]) == (400, 400, False, "phone")


async def test_a_group_is_refused(zapgo):
    status, reply = await zapgo.post("/call/dial", {"phone": "120363041234567890@g.us"})
    assert status == 400
    assert "group" in reply["error"]


@pytest.mark.parametrize("phone", [UNREACHABLE, "123456789012345@lid"])
async def test_an_unreachable_peer_is_a_502(zapgo, phone):
    status, reply = await zapgo.post("/call/dial", {"phone": phone})
    assert (status, reply["success"]) == (502, False)
    assert await zapgo.calls() == []


@pytest.mark.parametrize("verb", ["answer", "hangup"])
async def test_an_unknown_call_is_a_404_and_a_missing_id_a_400(zapgo, verb):
    assert (await zapgo.post(f"/call/{verb}", {"callId": NOBODY}))[0] == 404
    assert (await zapgo.post(f"/call/{verb}", {}))[0] == 400


# The older signalling


@pytest.mark.parametrize(
    ("path", "action", "reason"),
    [
        ("/call/reject/send", "rejected", "rejected"),
        ("/call/terminate", "terminated", "rejected"),
    ],
)
async def test_a_call_that_rings_is_declined_in_the_old_words(
    client, zapgo, ringing, path, action, reason
):
    body = {"call_id": ringing, "call_from": CALLER, "message": "Later", "reason": "busy"}
    status, reply = await zapgo.post(path, body)
    assert status == 200
    assert reply.pop("message_sent", False) is False
    assert ("message_error" in reply) == path.endswith("/send")
    reply.pop("message_error", None)
    assert reply == {
        "success": True,
        "call_id": ringing,
        "call_from": CALLER,
        "action": action,
    }
    assert (await client.quality(ringing))["endReason"] == reason


@pytest.mark.parametrize(
    ("field", "value"),
    [("message", 7), ("message", "x" * 4097), ("reject_type", 1), ("call_from", 1)],
)
async def test_a_wrong_field_declines_nothing(zapgo, ringing, field, value):
    body = {"call_id": ringing, "call_from": CALLER, "message": "Later", field: value}
    assert (await zapgo.post("/call/reject/send", body))[0] == 400
    assert await zapgo.state(ringing) == "ringing"


async def test_a_rejection_without_a_message_sends_none(zapgo, ringing):
    body = {"call_id": ringing, "call_from": CALLER}
    reply = (await zapgo.post("/call/reject/send", body))[1]
    assert (reply["message_sent"], "message_error" in reply) == (False, False)


async def test_a_preaccepted_call_keeps_ringing(zapgo, ringing):
    body = {"call_id": ringing, "call_from": CALLER}
    status, reply = await zapgo.post("/call/preaccept", body)
    assert (status, reply["action"]) == (200, "preaccepted")
    assert await zapgo.state(ringing) == "ringing"


async def test_the_kind_of_a_rejection_is_repeated(zapgo, ringing):
    body = {"call_id": ringing, "call_from": CALLER, "reject_type": "busy"}
    assert (await zapgo.post("/call/reject/send", body))[1]["reject_type"] == "busy"


async def test_an_active_call_is_terminated_in_the_old_words(client, zapgo):
    call_id = (await zapgo.data("/call/dial", {"phone": ECHO}))["callId"]
    await zapgo.becomes(call_id, "active")
    await zapgo.post("/call/terminate", {"call_id": call_id, "call_from": CALLER})
    assert (await client.quality(call_id))["endReason"] == "hangup"


OLD = ["preaccept", "reject/send", "terminate"]


@pytest.mark.parametrize("verb", OLD)
async def test_an_unknown_call_is_a_404_in_the_old_words(zapgo, verb):
    body = {"call_id": NOBODY, "call_from": CALLER}
    status, reply = await zapgo.post(f"/call/{verb}", body)
    assert (status, reply["success"]) == (404, False)


@pytest.mark.parametrize("verb", OLD)
@pytest.mark.parametrize(
    ("body", "field"), [({"call_from": CALLER}, "call_id"), ({"call_id": NOBODY}, "call_from")]
)
async def test_a_missing_field_is_a_400_in_the_old_words(zapgo, verb, body, field):
    status, reply = await zapgo.post(f"/call/{verb}", body)
    assert (status, reply["field"]) == (400, field)


@pytest.mark.parametrize("verb", OLD[:-1])
async def test_a_call_that_does_not_ring_us_is_a_409_in_the_old_words(zapgo, verb):
    call_id = (await zapgo.data("/call/dial", {"phone": NEVER}))["callId"]
    status, _ = await zapgo.post(f"/call/{verb}", {"call_id": call_id, "call_from": CALLER})
    assert status == 409


async def test_initiate_is_not_implemented(zapgo):
    status, reply = await zapgo.post("/call/initiate", {"to": NEVER, "video": False})
    assert (status, reply["error"]) == (501, "make_call_not_implemented")
    assert reply["reason"]
    assert reply["success"] is False
    assert await zapgo.calls() == []


@pytest.mark.parametrize("verb", [*OLD, "initiate"])
async def test_the_old_words_need_a_token_too(client, verb):
    body = {"call_id": NOBODY, "call_from": CALLER}
    assert (await ZuckZapGo(client, "wrong").post(f"/call/{verb}", body))[0] == 401


async def test_an_instance_sees_and_moves_its_own_calls_only():
    lines = {"one": Line(keys=["key-1"]), "two": Line(keys=["key-2"])}
    async with running(settings(lines=lines)) as client:
        one, two = ZuckZapGo(client, "key-1"), ZuckZapGo(client, "key-2")
        call_id = (await one.data("/call/dial", {"phone": NEVER}))["callId"]
        assert await two.calls() == []
        assert (await two.post("/call/hangup", {"callId": call_id}))[0] == 404
        legacy = {"call_id": call_id, "call_from": CALLER}
        assert (await two.post("/call/terminate", legacy))[0] == 404
        assert len(await one.calls()) == 1
