"""Inbound calls that are answered into a stream."""

import asyncio

import pytest

from bridge.errors import InvalidRequest
from bridge.node.lines import InboundMode, LineConfig
from bridge.settings.model import Limits
from bridge.wire.stream.media_stream import StreamProtocol
from tests.support.clients.stream_line import LINE, stream_line
from tests.support.servers.stream_customer import customer_server
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

NOBODY = "ws://127.0.0.1:9/"


async def test_a_call_is_answered_at_once_and_streamed_both_ways():
    async with customer_server() as server, stream_line(server.url) as line:
        caller, runner = await line.ring()
        customer = await server.customer()
        assert caller.answered
        [start] = customer.of("start")
        assert start["stream_type"] == "twoway"
        assert start["call_id"] == runner.facts.call_id
        parties = {"callId": runner.facts.call_id, "from": f"+{runner.facts.peer}"}
        assert start["parameters"] == parties
        await customer.play(b"\xe8\x03" * 24_000)
        await until(lambda: any(set(frame.pcm) == {0xE8, 0x03} for frame in caller.heard))
        await caller.say(0.4)
        await until(lambda: customer.sound().any())


async def test_a_twilio_server_gets_its_own_messages():
    async with customer_server() as server, stream_line(server.url) as line:
        config = LineConfig(
            mode=InboundMode.STREAM, stream_url=server.url, stream_protocol=StreamProtocol.TWILIO
        )
        await line.bridge.lines.lines.put(LINE, config)
        await line.bridge.lines.lines.connect(LINE)
        await line.ring()
        customer = await server.customer()
        await until(lambda: customer.of("start"))
        start = customer.of("start")[0]["start"]
        assert start["mediaFormat"]["encoding"] == "audio/x-mulaw"
        assert start["customParameters"]["callId"]


async def test_the_stream_ends_with_the_call_and_nothing_takes_over():
    async with customer_server() as server, stream_line(server.url) as line:
        caller, runner = await line.ring()
        customer = await server.customer()
        caller.hang_up()
        assert (await line.ended())["reason"] == "stopped"
        await until(customer.closed.is_set)
        assert not runner.live
        assert line.published.of("stream.fallback") == []


async def test_a_stream_that_is_stopped_by_request_leaves_the_call_as_it_is():
    async with customer_server() as server, stream_line(server.url) as line:
        _, runner = await line.ring()
        customer = await server.customer()
        await until(lambda: customer.of("media"))
        line.bridge.media.streams.stop(runner, customer.of("start")[0]["stream_id"])
        assert (await line.ended())["reason"] == "stopped"
        await asyncio.sleep(1.0)
        assert runner.live
        assert line.published.of("stream.fallback") == []


async def test_a_server_that_is_not_there_is_told_of_with_what_was_tried():
    async with stream_line(NOBODY) as line:
        await line.ring()
        ended, fallback = await line.ended(), await line.fallback()
        assert ended["reason"] == fallback["reason"] == "unreachable"
        assert ended["error"] == fallback["error"]
        assert "no connection" in str(ended["error"])
        assert fallback["streamId"] == ended["streamId"]


async def test_a_closed_network_is_a_fallback_without_a_stream():
    async with stream_line("ws://10.0.0.7/") as line:
        _, runner = await line.ring()
        fallback = await line.fallback()
        assert (fallback["streamId"], fallback["reason"]) == ("", "blocked")
        await until(lambda: not runner.live)


async def test_a_line_at_its_limit_of_streams_falls_back():
    limits = Limits(overload_seconds=0.0, streams_per_line=1)
    async with customer_server() as server, stream_line(server.url, limits=limits) as line:
        _, first = await line.ring()
        await server.customer()
        _, second = await line.ring()
        assert (await line.fallback())["reason"] == "not_started"
        await until(lambda: not second.live)
        assert first.live


async def test_a_failure_of_ours_does_not_leave_the_caller_in_silence(monkeypatch, caplog):
    async def fail(*_arguments):
        raise KeyError

    async with stream_line(NOBODY) as line:
        monkeypatch.setattr(line.bridge.media.streams, "start", fail)
        _, runner = await line.ring()
        assert (await line.fallback())["reason"] == "not_started"
        await until(lambda: not runner.live)
        assert "stream.failed" in caplog.text


async def test_outbound_calls_are_not_streamed():
    async with customer_server() as server, stream_line(server.url) as line:
        call_id = await line.client.dial("15550100001")
        await line.client.until_state(call_id, "active")
        await asyncio.sleep(0.5)
        assert server.customers == []


async def test_ends_of_streams_are_counted_by_reason():
    async with stream_line(NOBODY) as line:
        await line.ring()
        await line.fallback()
        shown = line.bridge.node.metrics.render().decode()
        assert 'bridge_streams_ended_total{reason="unreachable"} 1.0' in shown
        assert 'bridge_stream_fallbacks_total{action="hangup"} 1.0' in shown


# What a line in the mode must have


@pytest.mark.parametrize(
    ("protocol", "error"), [("native", "WebSocket|wss"), ("openai-realtime", "lines.NAME.realtime")]
)
async def test_the_mode_needs_a_url(protocol, error):
    config = LineConfig(mode=InboundMode.STREAM, stream_protocol=StreamProtocol(protocol))
    async with stream_line(NOBODY) as line:
        with pytest.raises(InvalidRequest, match=error):
            line.bridge.media.inbound_streams.check(LINE, config)


async def test_another_mode_needs_none():
    async with stream_line(NOBODY) as line:
        line.bridge.media.inbound_streams.check(LINE, LineConfig(mode=InboundMode.AI))
