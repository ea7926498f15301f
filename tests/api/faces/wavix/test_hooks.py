"""Wavix's webhooks of a line, as its documents have them."""

import pytest

from bridge.settings.model import Net
from tests.support.clients.vendor import ECHO, OTHER, SALES, two_lines
from tests.support.inprocess import running
from tests.support.servers.receiver import receiving
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

PATHS = ["/v1/call/webhooks", "/v1/calls/webhooks"]


@pytest.fixture
async def client():
    async with running(two_lines(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


async def ask(client, method, path, body=None, *, key=SALES, **query):
    sent = {} if body is None else {"json": body}
    params = {"appid": key, **query}
    async with client.http.request(method, path, params=params, **sent) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("path", PATHS)
async def test_a_url_of_each_type_is_registered_listed_and_deleted(client, path):
    for word in ("on-call", "post-call"):
        body = {"url": f"http://127.0.0.1/{word}", "event_type": word}
        status, answer = await ask(client, "POST", path, body)
        assert (status, answer["success"], answer["event_type"], answer["url"]) == (
            201,
            True,
            word,
            body["url"],
        )
    _, listed = await ask(client, "GET", path)
    assert listed["webhooks"] == [
        {"event_type": word, "url": f"http://127.0.0.1/{word}"} for word in ("on-call", "post-call")
    ]
    assert await ask(client, "DELETE", path, event_type="on-call") == (200, {"success": True})
    assert len((await ask(client, "GET", path))[1]["webhooks"]) == 1
    assert (await ask(client, "DELETE", path, event_type="on-call"))[0] == 404


async def test_both_types_are_sent_a_calls_events(client):
    async with receiving() as live, receiving() as afterwards:
        for word, hook in (("on-call", live), ("post-call", afterwards)):
            await ask(client, "POST", PATHS[0], {"url": hook.url, "event_type": word})
        body = {"from": "15550109000", "to": ECHO, "tag": "7"}
        _, call = await ask(client, "POST", "/v1/call", body)
        [runner] = client.bridge.manager.calls()
        await until(lambda: runner.machine.state == "active")
        await ask(client, "DELETE", f"/v1/call/{call['id']}")
        await until(lambda: len(live.taken) == 4 and len(afterwards.taken) == 1)
    received = [taken.json for taken in live.taken]
    assert [one["event_type"] for one in received] == [
        "call_setup",
        "ringing",
        "answered",
        "completed",
    ]
    assert {one["uuid"] for one in received} == {call["uuid"]}
    assert afterwards.taken[0].json["disposition"] == "answered"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "http://127.0.0.1/"}, "event_type"),
        ({"url": "http://127.0.0.1/", "event_type": "pre-call"}, "event_type"),
        ({"url": "ftp://x", "event_type": "on-call"}, "url"),
    ],
)
async def test_a_wrong_field_is_named(client, body, field):
    status, answer = await ask(client, "POST", PATHS[0], body)
    assert (status, list(answer["errors"])) == (400, [field])


async def test_another_line_sees_and_deletes_nothing(client):
    body = {"url": "http://127.0.0.1/", "event_type": "on-call"}
    await ask(client, "POST", PATHS[0], body)
    assert (await ask(client, "GET", PATHS[0], key=OTHER))[1]["webhooks"] == []
    assert (await ask(client, "DELETE", PATHS[0], key=OTHER, event_type="on-call"))[0] == 404
