"""Calls in streams pass from one bridge to another of the same machine; the servers are connected anew."""

import asyncio

import numpy as np
import pytest

from bridge.call.model import LineName
from bridge.node.lines import InboundMode, LineConfig
from bridge.settings.model import Line, Net, Stream
from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.inprocess import KEY
from tests.support.servers.stream_customer import Customer, CustomerServer, customer_server
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]

TALKS = "15550100002"
LOCAL = Net(allow=["127.0.0.0/8"])
LINE = LineName("demo")


async def streamed(calls: MovingCalls, server: CustomerServer, **more: str) -> tuple[str, Customer]:
    """Return a call that is streamed, and its server's connection."""
    call_id = await calls.client.dial(TALKS)
    await calls.client.until_state(call_id, "active")
    await calls.client.data(f"/call/{call_id}/streams", {"streamUrl": server.url} | more)
    customer = await server.customer()
    await until(lambda: customer.of("media"))
    return call_id, customer


async def test_a_stream_goes_on_over_another_connection():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        call_id, first = await streamed(calls, server)
        await first.play(b"\xe8\x03" * 24_000)
        stream = calls.runner(call_id).legs()[-1]
        await until(lambda: stream.statistics().received.packets == 1)
        assert calls.movable() == [call_id]
        await calls.move(call_id)
        second = await server.customer(1)
        await first.closed.wait()
        await until(lambda: len(second.of("media")) > 20)
        assert (first.code, first.of("stop")) == (1012, [])
        [before], [after] = first.of("start"), second.of("start")
        assert "resumed" not in before
        assert after["resumed"] is True
        assert before["stream_id"] == after["stream_id"]
        last, next_ = first.of("media")[-1]["media"], second.of("media")[0]["media"]
        assert next_["timestamp"] > last["timestamp"]
        assert second.sound().any()
        moved = calls.runner(call_id).legs()[-1]
        await until(lambda: moved.statistics().received.frames > 20)
        assert moved.statistics().sent.packets > len(first.of("media"))
        await second.close()
        await until(lambda: "stream.ended" in calls.events)
        told = [kind for kind in calls.events if kind.startswith("stream.")]
        assert told == ["stream.started", "stream.ended"]
        assert calls.events.count("leg.joined") == 2


async def test_what_waits_to_be_played_is_played_and_its_mark_comes_back():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        call_id, first = await streamed(calls, server)
        await first.play(b"\xe8\x03" * 48_000)
        await first.say("mark", mark={"name": "said"})
        stream = calls.runner(call_id).legs()[-1]
        await first.say("nonsense")
        await until(lambda: stream.statistics().discarded["bad_message"] == 1)
        await calls.move(call_id)
        second = await server.customer(1)
        await until(lambda: second.of("mark"))
        assert [one["mark"]["name"] for one in second.of("mark")] == ["said"]
        assert calls.runner(call_id).legs()[-1].statistics().received.frames == 100


async def test_a_call_stays_while_much_waits_to_be_played():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        call_id, first = await streamed(calls, server)
        assert calls.movable() == [call_id]
        await first.play(b"\xe8\x03" * 24_000 * 8)
        await until(lambda: calls.movable() == [])
        await until(lambda: calls.movable() == [call_id])


async def test_both_tracks_of_a_one_way_stream_go_on():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        more = {"streamType": "oneway", "streamChannel": "both"}
        call_id, _ = await streamed(calls, server, **more)
        await calls.move(call_id)
        second = await server.customer(1)
        await until(lambda: second.sound("inbound").any() and len(second.data("outbound")))
        stream_id = second.of("start")[0]["stream_id"]
        await calls.client.http.delete(f"/call/{call_id}/streams/{stream_id}", headers=KEY)
        await until(lambda: calls.events.count("leg.left") == 2)
        await second.closed.wait()
        assert len(second.of("stop")) == 1


@pytest.mark.parametrize("more", [{"streamProtocol": "twilio"}, {}])
async def test_streams_that_are_not_resumed_keep_their_call(more):
    line = Line(keys=["demo"], stream=Stream(resume=bool(more)))
    async with customer_server() as server, moving_calls(net=LOCAL, lines={LINE: line}) as calls:
        call_id, _ = await streamed(calls, server, **more)
        assert calls.movable() == []
        [stream] = [leg.leg_id for leg in calls.runner(call_id).legs() if leg.kind == "stream"]
        await calls.client.http.delete(f"/call/{call_id}/streams/{stream}", headers=KEY)
        await until(lambda: calls.movable() == [call_id])


async def test_a_stream_that_was_requested_as_the_vendor_documents_it_keeps_its_call():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        call_id = await calls.client.dial(TALKS)
        await calls.client.until_state(call_id, "active")
        body = {"stream_url": server.url, "stream_type": "twoway", "stream_channel": "inbound"}
        response = await calls.client.post(f"/v1/call/{call_id}/streams?appid=demo", body)
        assert response.status == 200, await response.text()
        customer = await server.customer()
        await until(lambda: customer.of("media"))
        assert calls.movable() == []


async def test_a_server_that_is_gone_ends_the_stream_once():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        call_id, _ = await streamed(calls, server)
        server.refuse()
        await calls.move(call_id)
        await until(lambda: calls.told.count((1, "stream.ended")) == 1, timeout=20.0)
        assert calls.events.count("stream.ended") == 1
        assert await calls.client.state(call_id) == "active"


async def test_a_call_that_was_answered_into_a_stream_has_its_fallback_afterwards():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        lines = calls.client.bridge.lines.lines
        await lines.put(LINE, LineConfig(mode=InboundMode.STREAM, stream_url=server.url))
        await lines.connect(LINE)
        call_id = (await calls.client.data("/simulator/incoming", {"from": TALKS}))["callId"]
        first = await server.customer()
        await until(lambda: first.of("media"))
        await until(lambda: calls.movable() == [call_id])
        await calls.move(call_id)
        second = await server.customer(1)
        await until(lambda: second.of("media"))
        await second.close(1011)
        await until(lambda: (1, "call.ended") in calls.told)
        assert calls.events.count("stream.fallback") == 1


async def test_a_stream_that_nobody_takes_over_goes_on():
    async with customer_server() as server, moving_calls(net=LOCAL) as calls:
        call_id, first = await streamed(calls, server)
        calls.suspend_and_resume(call_id)
        before = len(first.of("media"))
        await until(lambda: len(first.of("media")) > before + 20)
        await asyncio.sleep(1.0)
        assert len(server.customers) == 1
        assert np.abs(first.sound().astype(float)).max() > 1000
