"""What programs on the bridge's machine may do, and nobody who comes through a proxy on it."""

import pytest

from tests.support.inprocess import KEY

PROXIED = [
    {"Forwarded": "for=192.0.2.7"},
    {"X-Forwarded-For": "192.0.2.7"},
    {"X-Forwarded-Proto": "https"},
    {"x-forwarded-host": "calls.example"},
]


@pytest.mark.parametrize("header", PROXIED)
async def test_the_demo_key_does_not_work_through_a_proxy(client, header):
    answer = await client.get("/call/status", headers=KEY | header)
    assert answer.status == 401
    told = (await answer.json())["error"]
    assert "proxy" in told
    assert "[lines.NAME] keys" in told
    assert "http.allowed_hosts" in told


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


@pytest.mark.parametrize("header", PROXIED)
async def test_metrics_through_a_proxy_need_a_key(client, header):
    answer = await client.get("/metrics", headers=header)
    assert answer.status == 401
    told = (await answer.json())["error"]
    assert "proxy" in told
    assert "send a key" in told


async def test_metrics_on_the_machine_itself_need_none(client):
    assert (await client.get("/metrics", headers={})).status == 200
