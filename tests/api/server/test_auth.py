"""Keys: whose they are, where they may come from, how often."""

import asyncio

import pytest

from bridge.settings.model import Limits, Line
from tests.support.inprocess import running, settings

pytestmark = pytest.mark.usefixtures("nodes")

REMAINING = "X-RateLimit-Remaining"
STATUS = "/call/status"
TWO_LINES = {"sales": Line(keys=["sales-1", "sales-2"]), "support": Line(keys=["support-1"])}


async def test_a_request_without_a_key_is_a_401_in_the_native_envelope(client):
    response = await client.get(STATUS, headers={})
    assert response.status == 401
    body = await response.json()
    assert (body["code"], body["success"]) == (401, False)


async def test_a_wrong_key_is_a_401(client):
    assert (await client.get(STATUS, headers={"token": "demo2"})).status == 401


async def test_an_unreadable_key_is_a_401(client):
    assert (await client.get(STATUS, headers={"token": "caf\u00e9"})).status == 401


@pytest.mark.parametrize("header", [b"token: \xff", b"Authorization: Bearer \xff"])
async def test_a_key_that_is_not_even_text_is_a_401(client, header):
    reader, writer = await asyncio.open_connection("127.0.0.1", client.http.port)
    writer.write(b"GET /call/status HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
    async with asyncio.timeout(10):
        assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "headers",
    [
        {"token": "demo"},
        {"Authorization": "Bearer demo"},
        {"Authorization": "bearer demo"},
        {"Authorization": "demo"},
        {"Authorization": "Basic ZGVtbzpkZW1v", "token": "demo"},
    ],
)
async def test_a_key_is_read_from_either_header(client, headers):
    assert (await client.get(STATUS, headers=headers)).status == 200


@pytest.mark.parametrize("value", ["demo2", "Basic ZGVtbzpkZW1v", "Digest demo", "demo demo", ""])
async def test_another_authorization_is_a_401(client, value):
    assert (await client.get(STATUS, headers={"Authorization": value})).status == 401


@pytest.mark.parametrize("path", ["/v1/call", "/v1/calls/x/streams", "/v1/recordings"])
async def test_who_sends_no_key_to_wavixs_paths_is_told_of_appid(client, path):
    answer = await client.http.request("POST" if "streams" in path else "GET", path)
    assert answer.status == 401
    assert "`?appid=`" in (await answer.json())["message"]
    assert "appid" not in await (await client.get(STATUS, headers={})).text()


async def test_a_key_in_the_query_string_does_not_count(client):
    assert (await client.get(f"{STATUS}?token=demo", headers={})).status == 401


async def test_the_demo_key_works_for_our_own_page(client):
    origin = f"http://127.0.0.1:{client.http.port}"
    headers = {"token": "demo", "Origin": origin}
    assert (await client.get(STATUS, headers=headers)).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://["])
async def test_the_demo_key_does_not_work_for_other_pages(client, origin):
    headers = {"token": "demo", "Origin": origin}
    assert (await client.get(STATUS, headers=headers)).status == 403


async def test_a_line_sees_only_its_own_calls():
    async with running(settings(lines=TWO_LINES)) as client:
        mine, theirs = {"token": "sales-1"}, {"token": "support-1"}
        response = await client.post("/call/dial", {"phone": "15550100001"}, headers=mine)
        call_id = (await response.json())["data"]["callId"]
        same_line = await client.get(STATUS, headers={"token": "sales-2"})
        assert len((await same_line.json())["data"]["calls"]) == 1
        other_line = await client.get(STATUS, headers=theirs)
        assert (await other_line.json())["data"]["calls"] == []
        for path in ("/call/hangup", "/call/webrtc/close", "/call/answer"):
            answer = await client.post(path, {"callId": call_id}, headers=theirs)
            assert answer.status == 404, path
        assert (await client.get(f"/call/{call_id}/quality", headers=theirs)).status == 404


async def test_a_configured_key_works_from_any_origin():
    async with running(settings(lines=TWO_LINES)) as client:
        headers = {"token": "sales-1", "Origin": "https://shop.example"}
        response = await client.get(STATUS, headers=headers)
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"


async def test_too_many_requests_with_one_key_are_a_429_and_others_go_on():
    chosen = settings(lines=TWO_LINES, limits=Limits(requests_per_minute=3))
    async with running(chosen) as client:
        statuses = [
            (await client.get(STATUS, headers={"token": "sales-1"})).status for _ in range(4)
        ]
        assert statuses == [200, 200, 200, 429]
        assert (await client.get(STATUS, headers={"token": "support-1"})).status == 200


async def test_answers_tell_how_much_more_may_be_asked():
    chosen = settings(lines=TWO_LINES, limits=Limits(requests_per_minute=2))
    async with running(chosen) as client:
        answers = [await client.get(STATUS, headers={"token": "sales-1"}) for _ in range(3)]
        told = [
            (answer.status, answer.headers["X-RateLimit-Limit"], answer.headers[REMAINING])
            for answer in answers
        ]
        assert told == [(200, "2", "1"), (200, "2", "0"), (429, "2", "0")]
        assert int(answers[2].headers["X-RateLimit-Reset"]) > 1_700_000_000
        assert int(answers[2].headers["Retry-After"]) > 0


async def test_where_there_is_no_limit_nothing_is_told_of_one(client):
    assert REMAINING not in (await client.get(STATUS)).headers
