"""Answering and declining inbound calls with the bodies of WaGo and of ZuckZapGo."""

import pytest

from tests.support.inprocess import running
from tests.support.two_nodes import nodes as nodes

pytestmark = pytest.mark.usefixtures("nodes")

CALLER, SILENT = "15550100001", "15550100003"
NOBODY = "00" + 30 * "A"
DONE = {"accept": "accepted", "reject": "rejected"}


def wago(call_id):
    return {"callID": call_id}


def zuckzapgo(call_id):
    return {"call_id": call_id, "call_from": CALLER}


@pytest.fixture
async def client():
    async with running() as bridge:
        yield bridge


@pytest.fixture
async def ringing(client) -> str:
    return str((await client.data("/simulator/incoming", {"from": CALLER}))["callId"])


@pytest.fixture(params=[wago, zuckzapgo])
def body(request):
    return request.param


@pytest.fixture(params=DONE)
def verb(request):
    return request.param


async def post(client, verb, body, **more):
    response = await client.post(f"/call/{verb}", body, **more)
    return response.status, await response.json()


async def test_wago_is_answered_in_the_envelope_and_beside_it(client, ringing, verb):
    done = {"details": f"Call {DONE[verb]}", "callID": ringing}
    status, answer = await post(client, verb, wago(ringing))
    assert (status, answer) == (200, {"code": 200, "data": done, "success": True, **done})


async def test_zuckzapgo_is_answered_without_an_envelope(client, ringing, verb):
    status, answer = await post(client, verb, zuckzapgo(ringing))
    assert (status, answer) == (
        200,
        {"success": True, "action": DONE[verb], **zuckzapgo(ringing)},
    )


async def test_an_accepted_call_is_answered(client, ringing, body):
    await post(client, "accept", body(ringing))
    assert await client.state(ringing) in ("connecting", "active")


async def test_a_rejected_call_has_ended(client, ringing, body):
    await post(client, "reject", body(ringing))
    assert (await client.quality(ringing))["endReason"] == "rejected"


async def test_the_kind_of_a_rejection_is_repeated(client, ringing):
    wanted = {**zuckzapgo(ringing), "reject_type": "busy"}
    assert (await post(client, "reject", wanted))[1]["reject_type"] == "busy"


async def test_a_body_without_an_id_is_wagos(client, verb):
    status, answer = await post(client, verb, {})
    assert (status, answer["field"], answer["code"]) == (400, "callID", 400)


async def test_an_unknown_call_is_a_404(client, verb, body):
    status, answer = await post(client, verb, body(NOBODY))
    assert (status, answer["success"]) == (404, False)


async def test_an_outbound_call_is_a_409(client, verb, body):
    dialled = (await client.data("/call/dial", {"phone": SILENT}))["callId"]
    assert (await post(client, verb, body(dialled)))[0] == 409


async def test_an_active_call_cannot_be_rejected(client, ringing, body):
    await post(client, "accept", body(ringing))
    assert (await post(client, "reject", body(ringing)))[0] == 409
    assert await client.state(ringing) != "gone"


async def test_a_wrong_key_is_a_401(client, verb):
    wrong = {"token": "wrong"}
    assert (await post(client, verb, wago(NOBODY), headers=wrong))[0] == 401
