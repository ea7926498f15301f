"""Limits on unauthenticated requests and on wrong keys."""

import asyncio
from ipaddress import ip_network

from bridge.api.server import unauthenticated
from bridge.api.server.proxies import Proxies
from bridge.api.server.unauthenticated import UnauthenticatedLimit
from bridge.errors import RateLimited
from bridge.metrics.registry import Metrics
from tests.api.server.test_proxies import request

WRONG = {"token": "wrong"}


async def test_wrong_keys_are_refused_for_a_while_once_there_were_many(client):
    answers = [await client.get("/call/status", headers=WRONG) for _ in range(25)]
    assert [answer.status for answer in answers] == [401] * 20 + [429] * 5
    assert int(answers[-1].headers["Retry-After"]) <= 3
    assert "too many wrong keys" in (await answers[-1].json())["error"]


async def test_a_right_key_is_answered_whatever_was_guessed_before(client):
    for _ in range(25):
        await client.get("/call/status", headers=WRONG)
    assert (await client.get("/call/status")).status == 200


async def test_the_log_has_a_line_for_each_address_and_reason(client, caplog):
    for _ in range(15):
        await client.get("/call/status", headers=WRONG)
    lines = [record for record in caplog.records if record.message == "request.refused"]
    assert [(line.address, line.reason) for line in lines] == [("127.0.0.1", "wrong_key")]
    assert await client.total('bridge_http_unauthenticated_refused_total{reason="wrong_key"') == 15


async def test_each_address_has_guesses_of_its_own_and_few_are_remembered(monkeypatch):
    monkeypatch.setattr(unauthenticated, "MAX_ADDRESSES", 2)
    memory = UnauthenticatedLimit(
        requests=1,
        proxies=Proxies([ip_network("10.0.0.0/8")]),
        metrics=Metrics(version="0").http,
    )

    def allowed(address):
        try:
            memory.wrong_key(request(("10.0.0.1", 1), address))
        except RateLimited:
            return False
        return True

    assert [allowed("192.0.2.1") for _ in range(21)] == [True] * 20 + [False]
    assert allowed("192.0.2.2")
    assert not allowed("192.0.2.1")
    assert allowed("192.0.2.3")  # now the first is forgotten
    assert allowed("192.0.2.1")


async def test_an_address_is_crowded_while_its_requests_are_under_way():
    memory = UnauthenticatedLimit(
        requests=1, proxies=Proxies([]), metrics=Metrics(version="0").http
    )
    leave = asyncio.Event()

    async def asked(address):
        crowded = memory.count(request((address, 1)))
        await leave.wait()
        return crowded

    addresses = ("192.0.2.1", "192.0.2.1", "192.0.2.2")
    under_way = [asyncio.create_task(asked(address)) for address in addresses]
    await asyncio.sleep(0)
    leave.set()
    assert await asyncio.gather(*under_way) == [False, True, False]
    assert not await asyncio.create_task(asked("192.0.2.1"))
