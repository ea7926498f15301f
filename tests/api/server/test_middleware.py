"""What every request passes."""

import asyncio
import threading
from unittest.mock import Mock

import msgspec
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import make_mocked_request

from bridge.api.server.middleware import ended_by_client
from bridge.settings.model import Http, Line
from tests.support.inprocess import KEY, running, settings
from tests.support.waiting import until_answer

ORIGIN = "https://shop.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


async def test_an_unknown_path_is_a_404_in_the_envelope(client):
    response = await client.get("/nothing")
    assert response.status == 404
    body = await response.json()
    assert body["success"] is False
    assert "/docs" in body["error"]


async def test_what_is_not_to_be_had_troubles_no_operator(client, caplog):
    body = {"call_id": "1", "call_from": "2"}
    response = await client.post("/call/initiate", json=body)

    assert response.status == 501
    assert "request.failed" not in caplog.text


async def test_a_wrong_method_is_a_405_that_names_the_right_one(client):
    response = await client.get("/call/dial")
    assert response.status == 405
    assert "POST" in response.headers["Allow"]


async def test_a_body_over_the_limit_is_a_413(client):
    response = await client.post("/call/dial", data=b" " * (256 * 1024 + 1))
    assert response.status == 413
    body = await response.json()
    assert body["code"] == 413
    assert "256 kB" in body["error"]


async def test_every_answer_carries_a_request_id_of_its_own(client):
    ids = {(await client.get("/healthz")).headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "["]
)
async def test_on_loopback_a_foreign_host_name_is_refused(client, host):
    response = await client.get("/call/status", headers=KEY | {"Host": host})
    assert response.status == 403
    assert "http.allowed_hosts" in (await response.json())["error"]


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:9", "[::1]:8080"])
async def test_on_loopback_local_names_are_answered(client, host):
    assert (await client.get("/call/status", headers=KEY | {"Host": host})).status == 200


LINES = {"main": Line(keys=["main-1"])}
HOSTS = {
    "calls.example": 200,
    "CALLS.example:8443": 200,
    "public.example": 200,
    "localhost:8080": 200,
    "evil.example": 403,
    "calls.example.evil.example": 403,
}


@pytest.mark.parametrize("listening", ["127.0.0.1", "0.0.0.0"])
async def test_where_hosts_are_listed_these_and_our_own_are_answered(listening):
    http = Http(
        host=listening, allowed_hosts=["Calls.example"], public_url="https://public.example:444"
    )
    async with running(settings(http=http, lines=LINES)) as client:
        for host, status in HOSTS.items():
            answer = await client.get("/call/status", headers={"token": "main-1", "Host": host})
            assert answer.status == status, host


async def test_the_address_that_is_listened_on_is_answered():
    async with running(settings(http=Http(host="127.0.0.2"))) as client:
        for host, status in {"127.0.0.2:8080": 200, "127.0.0.3": 403}.items():
            answer = await client.get("/call/status", headers=KEY | {"Host": host})
            assert answer.status == status, host


async def test_beyond_loopback_any_host_is_answered_where_none_is_listed():
    http = Http(host="0.0.0.0", public_url="https://public.example")
    async with running(settings(http=http, lines=LINES)) as client:
        answer = await client.get(
            "/call/status", headers={"token": "main-1", "Host": "any.example"}
        )
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_are_answered_under_any_name(client, path):
    assert (await client.get(path, headers={"Host": "10.1.2.3"})).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_are_answered_while_the_database_hangs(path):
    let_go = threading.Event()
    async with running() as client:
        client.bridge.events.database.post(lambda _: let_go.wait(20))
        try:
            async with asyncio.timeout(5):
                assert (await client.get(path)).status == 200
        finally:
            let_go.set()


async def test_a_preflight_allows_the_key_header_from_any_origin(client):
    response = await client.http.options("/call/dial", headers=PREFLIGHT)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "token" in response.headers["Access-Control-Allow-Headers"]


async def test_errors_are_readable_across_origins_too(client):
    response = await client.get("/call/status", headers={"Origin": ORIGIN})
    assert response.status == 401
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_an_allow_list_of_origins_shuts_out_the_others():
    http = msgspec.structs.replace(Http(), cors_origins=["https://ours.example"])
    async with running(settings(http=http)) as client:
        refused = await client.http.options("/call/dial", headers=PREFLIGHT)
        assert refused.status == 403
        assert "Access-Control-Allow-Origin" not in refused.headers
        allowed = PREFLIGHT | {"Origin": "https://ours.example"}
        assert (await client.http.options("/call/dial", headers=allowed)).status == 204


async def test_a_crash_is_a_500_without_details_and_is_logged(client, caplog, monkeypatch):
    def crash(line: str) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(client.bridge.manager, "list", crash)
    response = await client.get("/call/status")
    assert response.status == 500
    assert "secret" not in await response.text()
    assert "request.crashed" in caplog.text
    client.described.wrong.clear()  # that a crash is a 500 is not described


@pytest.mark.parametrize(
    ("error", "of_the_client"), [(ConnectionResetError(), True), (RuntimeError(), False)]
)
def test_an_error_of_ours_stays_one_though_the_client_has_left(error, of_the_client):
    request = make_mocked_request("GET", "/", payload=Mock(exception=lambda: None))
    assert request.transport is not None
    request.transport.is_closing.return_value = True  # type: ignore[attr-defined]
    assert ended_by_client(request, error) is of_the_client


@pytest.mark.virtual_time
async def test_event_streams_and_sockets_are_counted_and_not_timed(client):
    call_id = await client.dial("15550100003")
    async with client.http.ws_connect(f"/call/{call_id}/stream?token={KEY['token']}") as socket:
        await client.data("/call/hangup", {"callId": call_id})
        async with asyncio.timeout(10):
            assert (await socket.receive()).type is WSMsgType.CLOSE
    async with (
        client.http.get(f"/call/{call_id}/events", headers=KEY) as stream,
        asyncio.timeout(10),
    ):
        assert "call.ended" in await stream.text()

    async def counted(route: str) -> bool:
        lines = (await (await client.get("/metrics")).text()).splitlines()
        totals = (line for line in lines if line.startswith("bridge_http_requests_total"))
        return any(f'route="{route}"' in line for line in totals)

    await until_answer(lambda: counted("/call/{callId}/events"))
    await until_answer(lambda: counted("/call/{callId}/stream"))
    lines = (await (await client.get("/metrics")).text()).splitlines()
    timed = "\n".join(line for line in lines if line.startswith("bridge_http_request_seconds"))
    assert 'route="/call/dial"' in timed
    assert "/events" not in timed
    assert "/stream" not in timed
