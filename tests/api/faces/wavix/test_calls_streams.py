"""A Wavix stream whose customer is not there: tried again, then reported."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge.media import stream_link
from bridge.settings.model import Net
from tests.support.clients.event_stream import EventStream
from tests.support.clients.vendor import ECHO, NUMBER, SALES, Vendor, two_lines
from tests.support.inprocess import running
from tests.support.machine import free_port
from tests.support.servers.receiver import receiving
from tests.support.servers.stream_customer import customer_server
from tests.support.waiting import until

pytestmark = [pytest.mark.usefixtures("nodes"), pytest.mark.virtual_time]


@pytest.fixture
async def bridge():
    async with running(two_lines(net=Net(allow=["127.0.0.0/8"]))) as client:
        yield client


@asynccontextmanager
async def refusing():
    """A server that takes no WebSocket; gives its port and how often it was asked."""
    asked: list[int] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.append(1)
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def answered(bridge, **more):
    wavix = Vendor(bridge.http)
    body = {"from": NUMBER, "to": ECHO, **more}
    _, call = await wavix.post("/v1/call", body)
    runner = next(iter(bridge.bridge.manager.calls()))
    await until(lambda: runner.machine.state == "active")
    return call["id"]


async def stream(bridge, call_id, url):
    order = {"stream_url": url, "stream_type": "twoway", "stream_channel": "inbound"}
    status, answer = await Vendor(bridge.http).post(f"/v1/call/{call_id}/streams", order)
    assert status == 200, answer
    return answer["stream_id"]


def test_three_attempts_take_ten_seconds_at_most():
    assert len(stream_link.RETRY_DELAYS) == 2
    assert 3 * stream_link.CONNECT_SECONDS + sum(stream_link.RETRY_DELAYS) <= 10


def stream_events(hook):
    """What a receiver was told of streams."""
    told = [taken.json for taken in hook.taken if taken.json["event_type"] == "on_call_event"]
    return [one for one in told if one["event_payload"]["type"] == "stream"]


async def test_a_dead_url_is_tried_three_times_and_then_reported_by_event_and_callback(bridge):
    async with refusing() as (port, asked), receiving() as hook:
        call_id = await answered(bridge, status_callback=hook.url)
        async with bridge.http.get(f"/call/{call_id}/events", headers={"token": SALES}) as response:
            stream_id = await stream(bridge, call_id, f"ws://127.0.0.1:{port}/")
            ended = await EventStream(response).until_type("stream.ended")
        await until(lambda: stream_events(hook))
    assert len(asked) == 3
    assert (ended["data"]["streamId"], ended["data"]["reason"]) == (stream_id, "unreachable")
    [sent] = stream_events(hook)
    assert sent["event_payload"] == {
        "type": "stream",
        "payload": {"stream_id": stream_id, "status": "failed", "reason": "unreachable"},
    }
    assert sent["uuid"] == call_id


async def test_a_customer_who_comes_late_gets_the_stream(bridge):
    call_id, port = await answered(bridge), free_port()
    stream_id = await stream(bridge, call_id, f"ws://127.0.0.1:{port}/")
    async with customer_server(port) as server:
        customer = await server.customer()
        await until(lambda: customer.of("start"))
        assert customer.of("start")[0]["stream_id"] == stream_id


async def test_a_stream_that_is_stopped_is_no_failure(bridge):
    async with customer_server() as server, receiving() as hook:
        call_id = await answered(bridge, status_callback=hook.url)
        stream_id = await stream(bridge, call_id, server.url)
        await server.customer()
        wavix = Vendor(bridge.http)
        async with bridge.http.delete(
            f"/v1/call/{call_id}/streams/{stream_id}", headers={"token": SALES}
        ) as response:
            assert response.status == 200
        await wavix.post(f"/v1/calls/{call_id}/commands", {"type": "hangup"})
        await until(lambda: any(t.json["event_type"] == "completed" for t in hook.taken))
    assert "on_call_event" not in {taken.json["event_type"] for taken in hook.taken}
