"""The simulated contacts over HTTP."""

import pytest

pytestmark = pytest.mark.usefixtures("nodes")


async def test_all_nine_contacts_and_a_telephone_are_listed_with_a_description(client):
    body = await (await client.get("/simulator/contacts")).json()
    contacts = body["data"]["contacts"]
    numbers = [*(f"1555010000{n}" for n in range(1, 10)), "15550200001"]
    assert [contact["number"] for contact in contacts] == numbers
    assert all(contact["name"] and contact["description"] for contact in contacts)


async def test_a_contact_can_be_made_to_ring(client):
    body = await (await client.post("/simulator/incoming", {"from": "15550100002"})).json()
    assert await client.state(body["data"]["callId"]) == "ringing"


async def test_ringing_needs_a_number(client):
    response = await client.post("/simulator/incoming", {})
    assert response.status == 400
    assert (await response.json())["field"] == "from"
