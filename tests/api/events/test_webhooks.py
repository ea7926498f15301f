"""Registering webhooks as each vendor's documents say, and what nobody took."""

import pytest

from bridge.settings.model import Line, Net
from bridge.wire.signature import PREFIX
from tests.support.inprocess import running, settings
from tests.support.servers.receiver import receiving
from tests.support.waiting import until, until_answer

pytestmark = pytest.mark.usefixtures("nodes")

URL = "http://127.0.0.1:9/hook"
BLOCKED = "http://127.0.0.1:9/hook"
OPEN = Net(allow=["127.0.0.0/8"])
LINES = {"demo": Line(keys=["demo"]), "other": Line(keys=["other", "sk_test_app_x"])}
OTHER = {"token": "other"}


@pytest.fixture
async def client():
    async with running(settings(net=OPEN, lines=LINES)) as client:
        yield client


async def body_of(response, status=200):
    assert response.status == status, await response.text()
    return await response.json()


# /webhook


async def test_webhookurl_in_wagos_spelling_registers_form_delivery(client):
    data = await client.data("/webhook", {"WebhookURL": URL})
    assert (data["style"], data["format"], data["webhook"]) == ("wago", "form", URL)
    assert data["secret"].startswith(PREFIX)
    listed = (await body_of(await client.get("/webhook")))["data"]
    assert (listed["webhook"], listed["subscribe"]) == (URL, [])
    assert "secret" not in listed


async def test_webhookurl_in_zuckzapgos_spelling_registers_json_delivery(client):
    sent = {"webhookurl": URL, "events": ["Call"], "Active": False}
    data = await client.data("/webhook", sent)
    assert (data["style"], data["format"], data["active"]) == ("zuckzapgo", "json", False)
    assert data["events"] == ["Call"]


async def test_registering_again_replaces_the_url_of_the_same_style(client):
    await client.data("/webhook", {"WebhookURL": URL})
    await client.data("/webhook", {"webhookurl": URL + "/zz"})
    response = await client.http.put(
        "/webhook", json={"WebhookURL": URL + "/new"}, headers={"token": "demo"}
    )
    assert response.status == 200
    listed = (await body_of(await client.get("/webhook")))["data"]["webhooks"]
    assert {one["style"]: one["webhook"] for one in listed} == {
        "wago": URL + "/new",
        "zuckzapgo": URL + "/zz",
    }


async def test_deleting_forgets_the_url(client):
    await client.data("/webhook", {"url": URL})
    response = await client.http.delete("/webhook", headers={"token": "demo"})
    assert response.status == 200
    listed = (await body_of(await client.get("/webhook")))["data"]
    assert (listed["webhook"], listed["webhooks"]) == ("", [])


@pytest.mark.parametrize(
    ("subscribed", "told"),
    [(["Message"], False), (["Message", "Call"], True), (["All"], True), ([], True)],
)
async def test_a_line_is_told_of_calls_when_it_subscribed_to_them(client, subscribed, told):
    async with receiving() as ours, receiving() as vendor:
        await client.data("/webhook", {"url": ours.url})
        await client.data("/webhook", {"webhookurl": vendor.url})
        await client.data("/session/connect", {"Subscribe": subscribed, "Immediate": True})
        call_id = await client.dial("15550100003")
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: "call.ended" in [taken.json["type"] for taken in ours.taken])
        if told:
            await until(lambda: "v1.call.terminate" in [t.json["type"] for t in vendor.taken])
        else:
            assert vendor.taken == []


# Errors


@pytest.mark.parametrize("path", ["/webhook", "/api/v1/webhooks", "/v1/webhooks"])
async def test_a_blocked_address_is_refused_and_the_setting_named(path):
    async with running() as client:
        response = await client.post(path, {"url": BLOCKED})
        assert response.status == 422
        assert "net.allow" in await response.text()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"url": 7}, "url"),
        ({"url": URL, "events": "call.ended"}, "events"),
        ({"url": URL, "events": ["a b"]}, "events"),
        ({"url": URL, "headers": {"Content-Length": "1"}}, "headers"),
        ({"url": URL, "headers": {"X": "a\r\nb"}}, "headers"),
        ({"url": URL, "active": "no"}, "active"),
    ],
)
async def test_what_is_wrong_is_named(client, sent, field):
    body = await body_of(await client.post("/v1/webhooks", sent), 400)
    assert body["field"] == field


async def test_a_key_is_needed(client):
    assert (await client.http.post("/webhook", json={"url": URL})).status == 401


async def test_no_line_sees_or_touches_anothers_endpoints(client):
    made = await body_of(await client.post("/v1/webhooks", {"url": URL}), 201)
    path = f"/v1/webhooks/{made['id']}"
    assert (await body_of(await client.get("/v1/webhooks", headers=OTHER)))["data"] == []
    assert (await client.get(path, headers=OTHER)).status == 404
    assert (await client.http.put(path, json={"active": False}, headers=OTHER)).status == 404
    assert (await client.http.delete(path, headers=OTHER)).status == 404
    assert (await client.get(path)).status == 200


async def test_a_line_has_so_many_endpoints_at_most(client):
    for _ in range(50):
        await body_of(await client.post("/v1/webhooks", {"url": URL}), 201)
    assert (await client.post("/v1/webhooks", {"url": URL})).status == 503


# What nobody took


async def test_dead_deliveries_are_listed_and_replayed_for_their_own_line_only(client):
    async with receiving() as receiver:
        await client.data("/webhook", {"url": receiver.url, "events": ["call.ended"]})
        receiver.answer = lambda taken: 500
        call_id = await client.dial("15550100001")
        await client.data("/call/hangup", {"callId": call_id})
        await give_up(client)
        [dead] = (await body_of(await client.get("/events/dead")))["data"]["dead"]
        assert (dead["event"]["type"], dead["event"]["callId"]) == ("call.ended", call_id)
        assert (await body_of(await client.get("/events/dead", headers=OTHER)))["data"] == {
            "dead": []
        }
        receiver.answer = lambda taken: 200
        others = await client.post("/events/replay", {}, headers=OTHER)
        assert (await body_of(others))["data"] == {"replayed": 0}
        assert await client.data("/events/replay", {"ids": [dead["id"]]}) == {"replayed": 1}
        await until(lambda: receiver.taken)
        assert receiver.taken[0].json["id"] == dead["event"]["id"]


async def test_the_ids_to_replay_are_numbers(client):
    assert (await client.post("/events/replay", {"ids": ["1"]})).status == 400


async def give_up(client):
    """Let the delivery that has failed once die, as it would after days.

    Its first failure is written down before: written later, it would set the next attempt again.
    """
    database = client.bridge.events.database

    async def failed() -> bool:
        sql = "SELECT count(*) FROM deliveries WHERE attempts > 0"
        return bool(await database.run(lambda connection: connection.execute(sql).fetchone()[0]))

    await until_answer(failed)
    sql = "UPDATE deliveries SET dead_at = first_at, due = NULL"
    await database.run(lambda connection: connection.execute(sql) and None)
