"""Meta's webhook and permissions over HTTP."""

import json

import pytest

from bridge.wire.cloud import SIGNATURE_HEADER, signature
from tests.calls.whatsapp.test_cloud import world
from tests.support.inprocess import one_node, settings
from tests.support.whatsapp.graph_double import SECRET, USER, VERIFY

EMPTY = b'{"entry":[]}'


async def test_meta_proves_the_address_with_the_verify_token():
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": VERIFY}
    async with world() as meta:
        answer = await meta.client.get("/whatsapp/webhook", params=query)
        assert (answer.status, await answer.text()) == (200, "1158201444")
        wrong = await meta.client.get(
            "/whatsapp/webhook", params=query | {"hub.verify_token": "wrong"}
        )
        assert wrong.status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({SIGNATURE_HEADER: signature(EMPTY, SECRET)}, 200),
        ({SIGNATURE_HEADER: signature(EMPTY, "other")}, 401),
        ({SIGNATURE_HEADER: signature(EMPTY + b" ", SECRET)}, 401),
        ({}, 401),
    ],
)
async def test_only_what_is_signed_is_taken(headers, status):
    async with world() as meta:
        answer = await meta.client.http.post("/whatsapp/webhook", data=EMPTY, headers=headers)
        assert answer.status == status


async def test_without_a_line_of_metas_there_is_no_webhook():
    async with one_node(settings(), None) as client:
        assert (await client.http.post("/whatsapp/webhook", data=EMPTY)).status == 404


async def test_permission_is_shown_with_what_was_last_answered():
    async with world() as meta:
        reply = {"response": "reject"}
        message = {"id": "wamid.1", "from": USER, "timestamp": "1790000000", "type": "interactive"}
        inner = {"type": "call_permission_reply", "call_permission_reply": reply}
        await meta.graph.tell({"messages": [message | {"interactive": inner}]}, field="messages")
        answer = await meta.client.get("/call/permission", params={"phone": USER})
        found = (await answer.json())["data"]["permission"]
    assert found["status"] == "temporary"
    assert found["mayCall"]
    assert found["lastReply"]["granted"] is False


async def test_permission_is_asked_for():
    async with world() as meta:
        data = await meta.client.data("/call/permission", {"phone": USER, "text": "May we?"})
        assert data == {"messageId": "wamid.EXAMPLE"}
        [(_, sent)] = [entry for entry in meta.graph.requests if entry[0] == "messages"]
    assert json.dumps(sent).count("May we?") == 1


async def test_a_line_of_another_provider_has_no_permissions():
    async with one_node(settings(), None) as client:
        answer = await client.get("/call/permission", params={"phone": USER})
        assert answer.status == 409
