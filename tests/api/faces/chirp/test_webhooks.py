"""Chirp's webhook endpoints: their headers, and their pages."""

import pytest

from bridge.settings.model import Net
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


async def test_chirps_endpoint_keeps_its_headers_to_itself(client):
    sent = {"url": URL, "events": ["calls.*"], "headers": {"X-Webhook-Secret": "hidden"}}
    made = await body_of(await client.post("/v1/webhooks", sent), 201)
    assert made["headers"] == {"X-Webhook-Secret": "***"}
    listed = await body_of(await client.get("/v1/webhooks?limit=1"))
    assert listed["totalCount"] == 1
    assert [one["id"] for one in listed["data"]] == [made["id"]]
    assert "hidden" not in str(listed)


async def test_pages_have_bounds(client):
    assert (await client.get("/v1/webhooks?limit=101")).status == 400
    assert (await client.get("/v1/webhooks?offset=x")).status == 400
