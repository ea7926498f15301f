"""The Wavix face: calls, keys, and the rows of its tables."""

import re
import uuid

import pytest

from bridge.settings.model import Limits, Net
from tests.support.clients.vendor import two_lines
from tests.support.inprocess import running, settings
from tests.support.servers.stream_customer import customer_server
from tests.support.waiting import until

ECHO, NEVER, BUSY, UNREACHABLE = "15550100001", "15550100003", "15550100004", "15550100006"
APPID = "appid=demo"
FIELDS = {
    "uuid", "id", "direction", "event_type", "event_time", "event_payload", "from", "to",
    "call_started", "call_answered", "call_completed", "machine_detected", "tag",
}  # fmt: skip
ORDER = {"stream_url": "ws://127.0.0.1:9/", "stream_type": "oneway", "stream_channel": "inbound"}

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]


@pytest.fixture
async def client():
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


async def ask(client, method, path, body=None, *, query=APPID):
    sent = {} if body is None else {"json": body}
    async with client.http.request(method, f"{path}?{query}", **sent) as response:
        return response.status, await response.json()


async def create(client, to=ECHO, **more):
    body = {"from": "15550109000", "to": to, **more}
    status, call = await ask(client, "POST", "/v1/call", body)
    assert status == 200, call
    return call


async def show(client, call_id):
    status, body = await ask(client, "GET", f"/v1/call/{call_id}")
    assert status == 200, body
    return body["call"]


async def reached(client, call_id, event):
    call = None
    for _ in range(2000):
        call = await show(client, call_id)
        if call["event_type"] == event:
            return call
    raise AssertionError(call)


async def answered(client, to=ECHO):
    call_id = (await create(client, to))["uuid"]
    await reached(client, call_id, "answered")
    return call_id


async def test_a_call_is_made_and_has_every_documented_field(client):
    call = await create(client, "+15550100001", tag="order 7")
    assert call["success"] is True
    assert set(call) >= FIELDS
    assert call["uuid"] == call["id"] == str(uuid.UUID(call["uuid"]))
    assert (call["direction"], call["from"], call["to"]) == (
        "outbound",
        "+15550109000",
        "+15550100001",
    )
    assert (call["tag"], call["machine_detected"]) == ("order 7", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", call["call_started"])
    assert call["call_answered"] is None
    assert call["call_completed"] is None


async def test_an_answered_call_says_so(client):
    call = await show(client, await answered(client))
    assert call["event_type"] == "answered"
    assert call["call_answered"] == call["event_time"]


async def test_only_live_calls_are_listed(client):
    first, second = (await create(client))["id"], (await create(client))["id"]
    assert await ask(client, "DELETE", f"/v1/call/{first}") == (200, {"success": True})
    status, body = await ask(client, "GET", "/v1/call")
    assert status == 200
    assert body["success"] is True
    assert [call["id"] for call in body["calls"]] == [second]


async def test_an_ended_call_says_when_it_was_completed(client):
    call_id = await answered(client)
    await ask(client, "DELETE", f"/v1/call/{call_id}")
    call = await show(client, call_id)
    assert call["event_type"] == "completed"
    assert call["call_completed"] is not None


async def test_a_busy_number_says_busy(client):
    await reached(client, (await create(client, BUSY))["id"], "busy")


@pytest.mark.quick
async def test_a_ringing_call_that_is_ended_says_cancelled(client):
    call_id = (await create(client, NEVER))["id"]
    await ask(client, "DELETE", f"/v1/call/{call_id}")
    await reached(client, call_id, "cancelled")


async def test_an_incoming_call_is_seen_and_answered(client):
    native = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    _, body = await ask(client, "GET", "/v1/call")
    [call] = body["calls"]
    assert (call["direction"], call["event_type"], call["from"]) == (
        "inbound",
        "ringing",
        f"+{ECHO}",
    )
    assert await ask(client, "POST", f"/v1/call/{call['id']}/answer") == (200, {"success": True})
    assert (await reached(client, native, "answered"))["id"] == call["id"]


@pytest.mark.parametrize("form", ["uuid", "native"])
async def test_a_call_is_named_in_every_form(client, form):
    identity = (await create(client))["uuid"]
    named = identity if form == "uuid" else identity.replace("-", "").upper()
    assert (await show(client, named))["id"] == identity


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "15550109000"}, "to"),
        ({"to": ECHO}, "from"),
        ({"from": "15550109000", "to": "nobody"}, "to"),
        ({"from": "15550109000", "to": ECHO, "tag": 5}, "tag"),
        ({"from": "15550109000", "to": ECHO, "tag": "x" * 1025}, "tag"),
        ({"from": "15550109000", "to": ECHO, "status_callback": "ftp://x"}, "status_callback"),
    ],
)
async def test_a_wrong_field_of_a_new_call_is_named(client, body, field):
    status, answer = await ask(client, "POST", "/v1/call", body)
    assert status == 400
    assert answer["success"] is False
    assert list(answer["errors"]) == [field]


async def test_a_body_that_is_no_json_has_no_errors(client):
    response = await client.http.post(f"/v1/call?{APPID}", data=b"{")
    assert response.status == 400
    assert set(await response.json()) == {"success", "message"}


async def test_a_number_that_cannot_be_reached_is_a_502(client):
    body = {"from": "15550109000", "to": UNREACHABLE}
    status, answer = await ask(client, "POST", "/v1/call", body)
    assert (status, answer["success"]) == (502, False)


@pytest.mark.parametrize("query", ["", "appid=wrong", "token=demo"])
async def test_without_a_key_of_ours_every_path_is_a_401(client, query):
    status, body = await ask(client, "GET", "/v1/call", query=query)
    assert status == 401
    assert (body["success"], body["error"]) == (False, True)


async def test_a_bearer_key_opens_the_face_too(client):
    response = await client.http.get("/v1/call", headers={"Authorization": "Bearer demo"})
    assert response.status == 200


async def test_appid_opens_no_other_face(client):
    assert (await client.http.get(f"/call/status?{APPID}")).status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/answer"),
        ("DELETE", "/streams/00000000-0000-4000-8000-000000000000"),
    ],
)
async def test_an_unknown_call_is_a_404(client, method, path):
    status, body = await ask(client, method, f"/v1/call/{uuid.uuid4()}{path}")
    assert (status, body["success"]) == (404, False)


async def test_another_lines_call_is_a_404():
    async with running(two_lines()) as client:
        body = {"from": "15550109000", "to": NEVER}
        key, other = "appid=sk_live_app_sales", "appid=sk_live_app_other"
        _, call = await ask(client, "POST", "/v1/call", body, query=key)
        status, _ = await ask(client, "GET", f"/v1/call/{call['id']}", query=other)
        assert status == 404
        assert (await ask(client, "GET", "/v1/call", query=other))[1]["calls"] == []


async def test_a_caller_id_that_is_not_the_lines_is_refused():
    async with running(two_lines()) as client:
        body = {"from": "15550109999", "to": NEVER}
        status, answer = await ask(
            client, "POST", "/v1/call", body, query="appid=sk_live_app_sales"
        )
        assert status == 400
        assert "from" in answer["errors"]


# How long, with what, to whom


async def test_a_call_rings_no_longer_than_its_timeout(client):
    call_id = (await create(client, NEVER, timeout=1))["id"]
    [runner] = client.bridge.manager.calls()
    # From when the provider accepted the dial.
    assert runner.machine.deadline() == pytest.approx(runner.machine.started_at + 1, abs=0.5)
    await until(lambda: runner.machine.state == "ended")
    assert (await show(client, call_id))["event_type"] == "completed"
    assert runner.machine.reason == "no_answer"


async def test_a_call_lasts_no_longer_than_its_maximum(client):
    call_id = (await create(client, max_duration=1))["id"]
    await reached(client, call_id, "answered")
    [runner] = client.bridge.manager.calls()
    assert runner.machine.deadline() == runner.machine.answered_at + 1
    await until(lambda: runner.machine.state == "ended")


@pytest.mark.parametrize("name", ["timeout", "max_duration"])
@pytest.mark.parametrize("value", [0, -1, "5", 1.5, 86_401])
async def test_a_time_that_is_none_is_refused(client, name, value):
    body = {"from": "15550109000", "to": ECHO, name: value}
    status, answer = await ask(client, "POST", "/v1/call", body)
    assert (status, list(answer["errors"])) == (400, [name])


@pytest.mark.parametrize("name", ["call_recording", "recording"])
async def test_a_call_is_recorded_when_it_is_asked_for(client, name):
    call_id = await create(client, **{name: True})
    await reached(client, call_id["id"], "answered")
    [runner] = client.bridge.manager.calls()
    await until(lambda: [leg.kind for leg in runner.legs()].count("recorder") == 3)


async def test_an_answered_call_is_recorded_when_it_is_asked_for(client):
    native = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    body = {"call_recording": True}
    assert (await ask(client, "POST", f"/v1/call/{native}/answer", body))[0] == 200
    [runner] = client.bridge.manager.calls()
    assert [leg.kind for leg in runner.legs()].count("recorder") == 3


async def test_a_live_call_gets_another_tag(client):
    call_id = (await create(client, NEVER, tag="one"))["id"]
    assert await ask(client, "PATCH", f"/v1/call/{call_id}", {"tag": "two"}) == (
        200,
        {"success": True},
    )
    assert (await show(client, call_id))["tag"] == "two"
    status, answer = await ask(client, "PATCH", f"/v1/call/{call_id}", {})
    assert (status, list(answer["errors"])) == (400, ["tag"])
    await ask(client, "DELETE", f"/v1/call/{call_id}")
    assert (await show(client, call_id))["tag"] == "two"
    assert (await ask(client, "PATCH", f"/v1/call/{call_id}", {"tag": "x"}))[0] == 404


async def test_a_call_is_transferred_to_a_number(client):
    call_id = await answered(client)
    body = {"from": "15550109000", "to": ECHO, "call_recording": True}
    assert await ask(client, "POST", f"/v1/call/{call_id}/transfer", body) == (
        200,
        {"success": True},
    )
    [runner] = client.bridge.manager.calls()
    await until(lambda: [leg.connected for leg in runner.machine.legs.near()] == [True])
    assert [leg.kind for leg in runner.legs()].count("recorder") == 3
    body = {"from": "15550109000", "to": UNREACHABLE}
    assert (await ask(client, "POST", f"/v1/call/{call_id}/transfer", body))[0] == 502
    body = {"to": ECHO, "a_playback_audio": "file:///a.wav"}
    status, answer = await ask(client, "POST", f"/v1/call/{call_id}/transfer", body)
    assert (status, list(answer["errors"])) == (400, ["a_playback_audio"])


@pytest.mark.parametrize("path", ["/v1/call", "/v1/calls"])
async def test_both_generations_paths_of_a_call_are_known(client, path):
    native = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    assert await ask(client, "POST", f"{path}/{native}/answer") == (200, {"success": True})
    for verb in ("play", "streams"):
        status, answer = await ask(client, "POST", f"{path}/{native}/{verb}", {})
        assert (status, answer["success"]) == (400, False)
    assert (await ask(client, "DELETE", f"{path}/{native}/audio"))[0] == 200
    assert (await ask(client, "POST", f"{path}/{native}/collect", {}))[0] == 200


# Streams


@pytest.mark.parametrize("missing", ["stream_url", "stream_type", "stream_channel"])
async def test_each_field_of_a_stream_must_be_there(client, missing):
    call_id = await answered(client)
    body = {name: value for name, value in ORDER.items() if name != missing}
    status, answer = await ask(client, "POST", f"/v1/call/{call_id}/streams", body)
    assert status == 400
    assert list(answer["errors"]) == [missing]


async def test_every_wrong_field_of_a_stream_is_named_at_once(client):
    body = {
        "stream_url": "http://127.0.0.1/",
        "stream_type": "threeway",
        "stream_channel": "left",
        "stream_encoding": "mp3",
        "stream_sample_rate": 44_100,
        "stream_frame_ms": 5,
    }
    status, answer = await ask(client, "POST", f"/v1/call/{uuid.uuid4()}/streams", body)
    assert status == 400
    assert set(answer["errors"]) == set(body)


@pytest.mark.parametrize("verb", ["streams", "answer"])
async def test_a_format_that_twilio_does_not_know_is_refused(client, verb):
    body = {**ORDER, "stream_protocol": "twilio", "stream_encoding": "s16le"}
    status, answer = await ask(client, "POST", f"/v1/call/{uuid.uuid4()}/{verb}", body)
    assert (status, "stream_encoding" in str(answer)) == (400, True)


async def test_a_call_that_still_rings_cannot_be_streamed(client):
    call_id = (await create(client, NEVER))["id"]
    status, answer = await ask(client, "POST", f"/v1/call/{call_id}/streams", ORDER)
    assert (status, answer["success"]) == (409, False)


async def test_a_stream_into_a_closed_network_is_a_422():
    async with running(settings(limits=Limits(overload_seconds=0.0))) as client:
        call_id = await answered(client)
        status, answer = await ask(client, "POST", f"/v1/call/{call_id}/streams", ORDER)
        assert status == 422
        assert "net.allow" in answer["message"]


async def test_an_answer_whose_stream_is_wrong_answers_nobody(client):
    call_id = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
    body = {**ORDER, "stream_type": "threeway"}
    status, _ = await ask(client, "POST", f"/v1/call/{call_id}/answer", body)
    assert status == 400
    assert (await show(client, call_id))["event_type"] == "ringing"


async def test_an_answer_may_begin_to_stream(client):
    async with customer_server() as server:
        call_id = (await client.data("/simulator/incoming", {"from": ECHO}))["callId"]
        body = {**ORDER, "stream_url": server.url}
        status, answer = await ask(client, "POST", f"/v1/call/{call_id}/answer", body)
        assert status == 200
        customer = await server.customer()
        await until(lambda: customer.of("start"))
        assert customer.of("start")[0]["stream_id"] == answer["stream_id"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/call/{call}/streams/{stream}",
        "/v1/call/answer/{call}/streams/{stream}",
        "/v1/calls/{call}/streams/{stream}",
    ],
)
async def test_a_stream_is_stopped_over_every_documented_path(client, path):
    async with customer_server() as server:
        call_id = await answered(client)
        body = {**ORDER, "stream_url": server.url}
        _, started = await ask(client, "POST", f"/v1/call/{call_id}/streams", body)
        customer = await server.customer()
        await until(lambda: customer.of("start"))
        where = path.format(call=call_id, stream=started["stream_id"])
        assert await ask(client, "DELETE", where) == (200, {"success": True})
        await until(customer.closed.is_set)
        assert customer.messages[-1]["event"] == "stop"
        assert (await ask(client, "DELETE", where))[0] == 404


async def test_one_two_way_and_five_one_way_streams_are_all_there_may_be(client):
    async with customer_server() as server:
        call_id = await answered(client)
        path = f"/v1/call/{call_id}/streams"
        for kind, most in (("twoway", 1), ("oneway", 5)):
            body = {**ORDER, "stream_url": server.url, "stream_type": kind}
            statuses = [(await ask(client, "POST", path, body))[0] for _ in range(most + 1)]
            assert statuses == [200] * most + [429]
        await server.customer(5)
