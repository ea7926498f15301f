"""A client written from WaGo's pages: header `token`, `callID`, `details`, `call` and `calls`."""

import pytest

from bridge.settings.model import Line
from tests.support.inprocess import running, settings
from tests.support.packets.offers import ANSWERABLE, offer
from tests.support.two_nodes import nodes as nodes

pytestmark = pytest.mark.usefixtures("nodes")

ECHO, NEVER, UNREACHABLE = "15550100001", "15550100003", "15550100006"


@pytest.fixture
async def client():
    async with running() as bridge:
        yield bridge


class WaGo:
    """What the pages say, and nothing else."""

    def __init__(self, client, token="demo"):
        self._client = client
        self._headers = {"token": token}

    async def post(self, path, body):
        response = await self._client.post(path, body, headers=self._headers)
        return response.status, await response.json()

    async def get(self, path):
        response = await self._client.get(path, headers=self._headers)
        return response.status, await response.json()

    async def make(self, phone=NEVER):
        status, body = await self.post("/call/make", {"Phone": phone})
        assert status == 200, body
        return body["call"]["callID"]


@pytest.fixture
async def wago(client):
    return WaGo(client)


async def test_the_list_says_which_calls_are_recorded(wago):
    _, made = await wago.post("/call/make", {"Phone": ECHO})
    assert [call["recording"] for call in (await wago.get("/call/list"))[1]["calls"]] == [False]
    await wago.post("/call/record", {"CallID": made["call"]["callID"]})
    assert [call["recording"] for call in (await wago.get("/call/list"))[1]["calls"]] == [True]


async def test_a_call_is_made_and_listed(wago):
    call_id = await wago.make()
    status, body = await wago.get("/call/list")
    assert status == 200
    assert [call["callID"] for call in body["calls"]] == [call_id]
    assert body["data"]["calls"] == body["calls"]


async def test_an_answer_is_in_the_envelope_and_beside_it(wago):
    _, body = await wago.post("/call/make", {"Phone": NEVER})
    assert (body["code"], body["success"]) == (200, True)
    assert body["data"]["call"] == body["call"]


@pytest.mark.parametrize("phone", [NEVER, f"+{NEVER}", f"{NEVER}@s.whatsapp.net"])
async def test_a_number_may_be_a_jid(wago, phone):
    assert await wago.make(phone)


@pytest.mark.quick
async def test_a_call_is_ended(client, wago):
    call_id = await wago.make()
    status, _ = await wago.post("/call/end", {"callID": call_id})
    assert status == 200
    assert (await client.quality(call_id))["endReason"] == "canceled"


async def test_a_made_call_takes_a_browser(wago):
    call_id = await wago.make(ECHO)
    _, config = await wago.get("/call/webrtc/config")
    assert config["turn"] == {"enabled": False, "status": "coming_soon"}
    wanted = {"callID": call_id, "type": "offer", "sdp": offer(ANSWERABLE[0])}
    status, answer = await wago.post("/call/webrtc/offer", wanted)
    assert (status, answer["callID"], answer["type"]) == (200, call_id, "answer")
    status, _ = await wago.post("/call/webrtc/close", {"callID": call_id})
    assert status == 200


# Errors


async def test_a_missing_id_is_a_400_in_its_own_words(wago):
    status, body = await wago.post("/call/end", {})
    assert status == 400
    assert body == {
        "code": 400,
        "error": "missing callID in payload",
        "success": False,
        "field": "callID",
    }


async def test_an_unknown_call_is_a_404(wago):
    status, body = await wago.post("/call/end", {"callID": "00" + 30 * "A"})
    assert (status, body["code"], body["success"]) == (404, 404, False)


@pytest.mark.parametrize("body", [{}, {"Phone": ""}, {"Phone": "12"}, {"Phone": "1-2@g.us"}])
async def test_a_number_that_is_none_is_a_400(wago, body):
    status, answer = await wago.post("/call/make", body)
    assert (status, answer["field"]) == (400, "Phone")


async def test_an_unreachable_number_is_a_502(wago):
    status, _ = await wago.post("/call/make", {"Phone": UNREACHABLE})
    assert status == 502


async def test_a_wrong_token_is_a_401(client):
    status, body = await WaGo(client, "wrong").post("/call/make", {"Phone": NEVER})
    assert (status, body["success"]) == (401, False)


async def test_a_token_sees_and_moves_its_own_calls_only():
    lines = {"one": Line(keys=["key-1"]), "two": Line(keys=["key-2"])}
    async with running(settings(lines=lines)) as client:
        one, two = WaGo(client, "key-1"), WaGo(client, "key-2")
        call_id = await one.make()
        assert (await two.get("/call/list"))[1]["calls"] == []
        assert (await two.post("/call/end", {"callID": call_id}))[0] == 404
        assert len((await one.get("/call/list"))[1]["calls"]) == 1
