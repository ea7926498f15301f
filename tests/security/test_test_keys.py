"""Test keys: they reach simulated contacts and nobody else, and live keys hear nothing of it."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.settings.model import Line, Net, WhatsApp
from tests.support.clients.event_stream import EventStream
from tests.support.clients.vendor import ECHO, NEVER, SALES, TEST, Vendor, two_lines
from tests.support.inprocess import running
from tests.support.servers.receiver import receiving
from tests.support.waiting import until

pytestmark = pytest.mark.call


@pytest.fixture
async def provider():
    """A WhatsApp provider of either kind: writes down each request, and takes none."""
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        return web.json_response({"error": {"message": "no", "code": 1}}, status=503)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", note)
    server = TestServer(application, host="127.0.0.1")
    await server.start_server()
    yield str(server.make_url("")).rstrip("/"), asked
    await server.close()


def cloud(url: str) -> WhatsApp:
    return WhatsApp(
        provider="cloud",
        phone_number_id="900",
        access_token="a",
        app_secret="b",
        verify_token="c",
        base_url=url,
    )


def gateway(url: str) -> WhatsApp:
    return WhatsApp(provider="gateway", url=url, token="a")


DIALS = [
    ("/call/dial", {"phone": ECHO}),
    ("/call/make", {"Phone": ECHO}),
    ("/api/v1/sessions/sales:test/calls", {"to": ECHO}),
    (
        "/v1/calls",
        {"from": "a", "fromChannel": "webrtc", "to": f"+{ECHO}", "toChannel": "whatsapp"},
    ),
    ("/v1/call", {"from": "+15550109000", "to": f"+{ECHO}"}),
]
"""How each face rings a number."""


@pytest.mark.parametrize("make", [cloud, gateway])
async def test_a_test_key_reaches_the_simulator_and_never_the_provider(provider, make):
    url, asked = provider
    line = Line(keys=[SALES, TEST], numbers=["15550109000"], whatsapp=make(url))
    async with running(two_lines(lines={"sales": line})) as client:
        before = [request for request in asked if request.startswith("POST")]
        for path, body in DIALS:
            status, answer = await Vendor(client.http, TEST).post(path, body)
            assert status in (200, 201), (path, answer)
        live = list(client.bridge.manager.calls())
        await until(lambda: all(runner.machine.state == "active" for runner in live))
        assert len(live) == len(DIALS)
        assert [request for request in asked if request.startswith("POST")] == before
        # The line's live key does go there.
        assert (await Vendor(client.http, SALES).post("/call/dial", {"phone": ECHO}))[0] >= 500
        assert len([request for request in asked if request.startswith("POST")]) > len(before)


async def test_a_number_that_is_no_contact_is_not_reached():
    async with running(two_lines()) as client:
        status, _ = await Vendor(client.http, TEST).post("/call/dial", {"phone": "4915112345678"})
    assert status == 502


async def test_live_webhooks_and_event_streams_are_told_of_live_calls_only():
    settings = two_lines(net=Net(allow=["127.0.0.0/8"]))
    async with running(settings) as client, receiving() as live, receiving() as test:
        hooks = (
            ("/webhook", {"url": "native"}),
            ("/webhook", {"webhookurl": "zuck"}),
            ("/webhook", {"WebhookURL": "wago"}),
            ("/api/v1/webhooks", {"url": "wadial"}),
            ("/v1/webhooks", {"url": "chirp"}),
            ("/v1/call/webhooks", {"url": "wavix", "event_type": "on-call"}),
        )
        for key, hook in ((SALES, live), (TEST, test)):
            for path, body in hooks:
                sent = {n: f"{hook.url}/{v}" if n != "event_type" else v for n, v in body.items()}
                assert (await Vendor(client.http, key).post(path, sent))[0] in (200, 201)
        async with client.http.get("/events", headers={"token": SALES}) as response:
            stream = EventStream(response)
            await Vendor(client.http, TEST).post("/call/dial", {"phone": NEVER})
            await until(lambda: {taken.path for taken in test.taken} >= {"/wavix", "/chirp"})
            _, dialled = await Vendor(client.http, SALES).post("/call/dial", {"phone": NEVER})
            assert (await stream.next())["callId"] == dialled["data"]["callId"]
        await until(lambda: {taken.path for taken in live.taken} >= {"/wavix", "/chirp"})
        own = dialled["data"]["callId"]
        native = [taken.json for taken in live.taken if taken.path == "/native"]
        assert {event["callId"] for event in native} == {own}
        text = b" ".join(taken.body for taken in live.taken)
        assert b"call_test_" not in text
        for runner in client.bridge.manager.calls():
            told = runner.facts.call_id.encode() in text
            assert told == (runner.facts.call_id == own)


async def test_a_live_key_makes_no_ticket_for_a_test_call_and_hears_no_recording_of_it():
    async with running(two_lines()) as client:
        live, test = Vendor(client.http, SALES), Vendor(client.http, TEST)
        _, dialled = await test.post("/call/dial", {"phone": ECHO})
        call_id = dialled["data"]["callId"]
        await until(lambda: all(r.machine.state == "active" for r in client.bridge.manager.calls()))
        status, started = await test.post("/call/record/start", {"callId": call_id})
        recording = started["data"]["recordings"][0]["recordingId"]
        assert status == 200
        assert (await live.post(f"/call/{call_id}/ticket", {}))[0] == 404
        assert (await live.get(f"/v1/calls/recordings/{recording}"))[0] == 404
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.http.ws_connect(f"/call/{call_id}/stream?token={SALES}")
        assert refused.value.status == 404
