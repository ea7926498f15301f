"""Whom an inbound call was for: every face and event says which number of the line was rung."""

import asyncio
from typing import Any

import pytest

from bridge.settings.model import Line, Net
from tests.support.clients.vendor import ECHO, NUMBER, OTHER, SALES, Vendor, two_lines
from tests.support.inprocess import running
from tests.support.servers.receiver import receiving
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

SECOND = "+15550109002"


@pytest.fixture
async def bridge():
    lines = {
        "sales": Line(keys=[SALES], numbers=["15550109000", "+15550109002"]),
        "other": Line(keys=[OTHER], numbers=["15550109001"]),
    }
    async with running(two_lines(lines=lines, net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


async def ring(bridge, **more):
    headers = {"token": SALES}
    body = {"from": ECHO, **more}
    async with bridge.http.post("/simulator/incoming", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return (await response.json())["data"]["callId"]


async def wavix(bridge, method, path, body=None, *, key=SALES):
    sent = {} if body is None else {"json": body}
    async with bridge.http.request(method, path, params={"appid": key}, **sent) as response:
        return response.status, await response.json()


async def hang_up(bridge, call_id):
    await wavix(bridge, "DELETE", f"/v1/call/{call_id}")


async def test_rest_names_the_lines_number_in_chirp_and_wavix(bridge):
    call_id = await ring(bridge)
    _, chirp = await Vendor(bridge.http).get(f"/v1/calls/{call_id}")
    assert (chirp["fromAddress"], chirp["toAddress"]) == (f"+{ECHO}", NUMBER)
    _, one = await wavix(bridge, "GET", f"/v1/call/{call_id}")
    _, listed = await wavix(bridge, "GET", "/v1/call")
    for call in (one["call"], *listed["calls"]):
        assert (call["from"], call["to"]) == (f"+{ECHO}", NUMBER)


async def test_a_call_for_the_lines_second_number_says_so(bridge):
    call_id = await ring(bridge, to=SECOND)
    _, chirp = await Vendor(bridge.http).get(f"/v1/calls/{call_id}")
    assert chirp["toAddress"] == SECOND


async def test_nobody_is_rung_at_a_number_of_another_line(bridge):
    body = {"from": ECHO, "to": "15550109001"}
    async with bridge.http.post(
        "/simulator/incoming", json=body, headers={"token": SALES}
    ) as response:
        assert (response.status, (await response.json())["field"]) == (400, "to")


async def test_webhooks_of_every_face_name_the_called_number(bridge):
    async with receiving() as hook:
        vendor = Vendor(bridge.http)
        for path, body in (
            ("/v1/webhooks", {"url": f"{hook.url}/chirp"}),
            ("/v1/call/webhooks", {"url": f"{hook.url}/wavix", "event_type": "on-call"}),
            ("/v1/call/webhooks", {"url": f"{hook.url}/after", "event_type": "post-call"}),
            ("/webhook", {"url": f"{hook.url}/native"}),
        ):
            status, answer = await vendor.post(path, body)
            assert status in (200, 201), answer
        call_id = await ring(bridge, to=SECOND)
        await hang_up(bridge, call_id)
        received: dict[str, list[Any]] = {}
        await until(lambda: {taken.path for taken in hook.taken} >= {"/after"})
        await until(lambda: len([t for t in hook.taken if t.path == "/chirp"]) >= 3)
        for taken in hook.taken:
            received.setdefault(taken.path, []).append(taken.json)
    assert {event["data"]["call"]["to"] for event in received["/chirp"]} == {SECOND}
    assert {event["to"] for event in received["/wavix"]} == {SECOND}
    assert {(event["to"], event["destination"]) for event in received["/after"]} == {
        (SECOND, SECOND)
    }
    assert {event["call"]["to"] for event in received["/native"] if "call" in event} == {SECOND}


async def test_an_outbound_call_shows_the_lines_number_as_caller(bridge):
    async with receiving() as hook:
        vendor = Vendor(bridge.http)
        await vendor.post("/v1/webhooks", {"url": hook.url})
        _, dialled = await vendor.post("/call/dial", {"phone": ECHO})
        call_id = dialled["data"]["callId"]
        await until(lambda: hook.taken)
    assert hook.taken[0].json["data"]["call"]["from"] == NUMBER
    _, call = await wavix(bridge, "GET", f"/v1/call/{call_id}")
    assert call["call"]["from"] == NUMBER


# A callback URL of a number


async def test_a_numbers_own_callback_url_is_sent_its_inbound_calls(bridge):
    async with receiving() as hook:
        path = f"/v1/mydids/{SECOND.removeprefix('+')}"
        status, number = await wavix(bridge, "PUT", path, {"call_status_url": hook.url})
        assert (status, number["number"], number["call_status_url"]) == (
            200,
            SECOND.removeprefix("+"),
            hook.url,
        )
        await hang_up(bridge, await ring(bridge))
        await Vendor(bridge.http).post("/call/dial", {"phone": ECHO})
        call_id = await ring(bridge, to=SECOND)
        await hang_up(bridge, call_id)
        async with asyncio.timeout(5):
            await until(lambda: len(hook.taken) >= 3)
    received = [taken.json for taken in hook.taken]
    assert [event["event_type"] for event in received] == ["call_setup", "ringing", "rejected"]
    assert {event["to"] for event in received} == {SECOND}
    assert len({event["uuid"] for event in received}) == 1


async def test_numbers_are_listed_with_their_callbacks_which_can_be_taken_away(bridge):
    path = f"/v1/mydids/{SECOND.removeprefix('+')}"
    await wavix(bridge, "PUT", path, {"call_status_url": "http://127.0.0.1:9/hook"})
    status, listed = await wavix(bridge, "GET", "/v1/mydids")
    assert status == 200
    assert [(item["number"], item["call_status_url"]) for item in listed["items"]] == [
        ("15550109000", None),
        ("15550109002", "http://127.0.0.1:9/hook"),
    ]
    assert listed["pagination"] == {
        "current_page": 1,
        "per_page": 25,
        "total": 2,
        "total_pages": 1,
    }
    # It is no webhook of the line.
    assert (await wavix(bridge, "GET", "/v1/call/webhooks"))[1]["webhooks"] == []
    await wavix(bridge, "PUT", path, {"call_status_url": None})
    assert (await wavix(bridge, "GET", path))[1]["call_status_url"] is None


@pytest.mark.parametrize(
    ("number", "body", "status", "field"),
    [
        ("15550109001", {"call_status_url": "http://127.0.0.1/"}, 404, None),
        ("nonsense", {"call_status_url": "http://127.0.0.1/"}, 404, None),
        ("15550109002", {"call_status_url": "ftp://x"}, 400, "call_status_url"),
        ("15550109002", {"sms_relay_url": "http://127.0.0.1/"}, 501, None),
        ("15550109002", {}, 400, "call_status_url"),
    ],
)
async def test_a_wrong_number_or_field_is_refused(bridge, number, body, status, field):
    answered, answer = await wavix(bridge, "PUT", f"/v1/mydids/{number}", body)
    assert (answered, answer["success"]) == (status, False)
    assert field is None or field in answer["errors"]
