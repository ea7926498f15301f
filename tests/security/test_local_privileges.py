"""What programs on the bridge's machine may do, and nobody who comes through a proxy on it."""

import pytest

from bridge.http import local_token
from bridge.settings.model import Http, Line
from tests.support.clients.raw_http import typed
from tests.support.inprocess import KEY, running, settings
from tests.support.two_nodes import two_nodes

PROXIED = [
    {"Forwarded": "for=192.0.2.7"},
    {"X-Forwarded-For": "192.0.2.7"},
    {"X_Forwarded_For": "192.0.2.7"},
    {"x-forwarded-host": "calls.example"},
    {"Via": "1.1 proxy"},
    {"X-Real-IP": "192.0.2.7"},
    {"CF-Connecting-IP": "192.0.2.7"},
    {"True-Client-IP": "192.0.2.7"},
    {"X-Client-IP": "192.0.2.7"},
]
ITS_OWN = ["/metrics", "/console/api/calls"]
"""What the token of a start opens."""


def token_of(client):
    return client.local["token"]


async def told(answer):
    return (await answer.json())["error"]


@pytest.mark.parametrize("header", PROXIED)
async def test_the_demo_key_does_not_work_through_a_proxy(client, header):
    answer = await client.get("/call/status", headers=KEY | header)
    assert answer.status == 401
    error = await told(answer)
    assert "proxy" in error
    assert "[lines.NAME] keys" in error
    assert "http.allowed_hosts" in error


@pytest.mark.parametrize("path", ["/call/status", *ITS_OWN])
async def test_http_1_0_opens_nothing_of_this_machine(client, path):
    headers = KEY if path == "/call/status" else client.local
    status, _, body = await typed(client.http.port, "GET", path, headers=headers, version="1.0")
    assert (status, b"HTTP/1.0" in body) == (401, True)


async def test_no_name_but_those_of_this_machine_opens_anything_of_it():
    async with running(
        settings(http=Http(host="127.0.0.1", allowed_hosts=["a.example"]))
    ) as client:
        answer = await client.get("/call/status", headers=KEY | {"Host": "a.example"})
        assert (answer.status, "Host header" in await told(answer)) == (401, True)


async def test_a_socket_of_the_demo_line_does_not_open_through_a_proxy(client):
    call_id = await client.dial("15550100003")
    answer = await client.get(f"/call/{call_id}/stream?token=demo", headers=PROXIED[1])
    assert answer.status == 401


async def test_a_ticket_of_the_demo_line_does_not_work_through_a_proxy(client):
    call_id = await client.dial("15550100003")
    ticket = (await client.data(f"/call/{call_id}/ticket", {}))["ticket"]
    here = await client.get("/call/webrtc/config", headers={"token": ticket})
    assert here.status == 200
    there = await client.get("/call/webrtc/config", headers={"token": ticket} | PROXIED[0])
    assert there.status == 401


@pytest.mark.parametrize("path", ITS_OWN)
async def test_the_token_of_the_start_opens_it(client, path):
    assert (await client.get(path, headers=client.local)).status == 200
    bearer = {"Authorization": f"Bearer {token_of(client)}"}
    assert (await client.get(path, headers=bearer)).status == 200


@pytest.mark.parametrize("path", ITS_OWN)
@pytest.mark.parametrize("header", PROXIED)
async def test_the_token_does_not_work_through_a_proxy(client, path, header):
    answer = await client.get(path, headers=client.local | header)
    assert (answer.status, "proxy" in await told(answer)) == (401, True)


@pytest.mark.parametrize("path", ITS_OWN)
@pytest.mark.parametrize("headers", [{}, KEY, {"token": "ai"}, {"token": "wrong"}])
async def test_nothing_else_that_a_tunnel_could_send_opens_it(client, path, headers):
    answer = await client.get(path, headers=headers)
    assert answer.status == 401
    if headers != {"token": "wrong"}:
        assert "local.token" in await told(answer)


async def test_the_token_is_not_taken_from_the_query(client):
    for path in ITS_OWN:
        assert (await client.get(f"{path}?token={token_of(client)}", headers={})).status == 401


async def test_the_token_opens_nothing_else(client):
    for path in ("/call/status", "/calls", "/events"):
        answer = await client.get(path, headers=client.local)
        assert answer.status == 403, path
    assert (await client.get("/admin/lines", headers=client.local)).status == 404


async def test_a_page_of_another_origin_cannot_use_the_token_for_the_console(client):
    elsewhere = client.local | {"Origin": "https://elsewhere.example"}
    assert (await client.get("/console/api/calls", headers=elsewhere)).status == 403


async def test_wrong_tokens_are_counted_as_wrong_keys(client):
    answers = [await client.get("/console/api/calls", headers={"token": "x"}) for _ in range(21)]
    assert [one.status for one in answers] == [401] * 20 + [429]
    assert (await client.get("/console/api/calls", headers=client.local)).status == 200


async def test_with_lines_the_token_opens_the_metrics_and_no_console():
    async with running(settings(lines={"main": Line(keys=["main-1"])})) as client:
        for headers, status in (({}, 401), (client.local, 200), ({"token": "main-1"}, 200)):
            assert (await client.get("/metrics", headers=headers)).status == status
        assert (await client.get("/console/api/live", headers=client.local)).status == 404


async def test_a_lines_key_reads_the_metrics_through_a_proxy_too():
    async with running(settings(lines={"main": Line(keys=["main-1"])})) as client:
        proxied = {"token": "main-1"} | PROXIED[0]
        assert (await client.get("/metrics", headers=proxied)).status == 200


async def test_beyond_loopback_the_token_opens_nothing():
    lines = {"main": Line(keys=["main-1"])}
    async with running(settings(lines=lines, http=Http(host="0.0.0.0"))) as client:
        assert (await client.get("/metrics", headers=client.local)).status == 401


async def test_the_nodes_of_one_bridge_have_one_token():
    async with two_nodes() as nodes:
        found = [await node.metrics() for node in nodes]
        assert all('bridge_node_up{node="0"} 1.0' in text for text in found), found


async def test_another_node_does_not_open_what_the_first_refuses():
    """The request is forwarded over HTTP/1.1, with the Host that the client sent."""
    async with two_nodes() as (first, second):
        dialled = await first.http.post("/call/dial", json={"phone": "15550100003"}, headers=KEY)
        call_id = (await dialled.json())["data"]["callId"]
        console, token = f"/console/api/calls/{call_id}", local_token.find(first.folder.parent)
        for path, headers in (
            (f"/call/{call_id}/quality", KEY),
            (console, KEY),
            (console, {"token": token}),
        ):
            for node in (first, second):
                status, _, body = await typed(
                    node.http.port, "GET", path, headers=headers, version="1.0"
                )
                assert (status, b"HTTP/1.0" in body) == (401, True), path
