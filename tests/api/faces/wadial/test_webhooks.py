"""WADial's webhook endpoints: made, listed, changed, deleted."""

import base64

import pytest

from bridge.settings.model import Net
from bridge.wire.signature import PREFIX
from tests.support.inprocess import running, settings

URL = "http://127.0.0.1:9/hook"
pytestmark = pytest.mark.usefixtures("nodes")


@pytest.fixture
async def client():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


async def body_of(response, status=200):
    assert response.status == status, await response.text()
    return await response.json()


async def test_wadials_secret_is_shown_once(client):
    made = await body_of(
        await client.post("/api/v1/webhooks", {"url": URL, "events": ["call.ended"]}), 201
    )
    secret = made["data"]["secret"]
    assert len(base64.b64decode(secret.removeprefix(PREFIX))) == 24
    identity = made["data"]["id"]
    listed = await body_of(await client.get("/api/v1/webhooks"))
    assert [one["id"] for one in listed["data"]] == [identity]
    one = (await body_of(await client.get(f"/api/v1/webhooks/{identity}")))["data"]
    assert (one["url"], one["events"], one["active"]) == (URL, ["call.ended"], True)
    assert "secret" not in one


async def test_an_endpoint_is_changed_and_deleted(client):
    made = await body_of(await client.post("/api/v1/webhooks", {"url": URL}), 201)
    path = f"/api/v1/webhooks/{made['data']['id']}"
    changed = await client.http.put(path, json={"active": False}, headers={"token": "demo"})
    assert (await body_of(changed))["data"]["active"] is False
    assert (await client.http.delete(path, headers={"token": "demo"})).status == 200
    assert (await client.get(path)).status == 404
