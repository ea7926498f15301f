"""What becomes of a call that has lost the stream it was answered into."""

import asyncio
import logging

import pytest

from bridge.call import events
from bridge.call.model import LegKind, Party
from bridge.call.routing import LegRole
from bridge.settings.model import Stream
from tests.support.clients.stream_line import streamed_call
from tests.support.fake_leg import FakeLeg
from tests.support.servers.stream_customer import customer_server
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

AGENT = Stream(fallback="agent")


async def test_a_lost_stream_ends_the_call_by_default():
    async with streamed_call() as (line, _, runner, customer):
        customer.break_off()
        assert await line.fallback() == {
            "streamId": customer.of("start")[0]["stream_id"],
            "action": "hangup",
            "reason": "failed",
            "error": "the connection broke off without a close frame",
        }
        await until(lambda: not runner.live)
        types = line.published.types
        assert types.index("stream.fallback") < types.index("call.ended")


async def test_the_lines_agent_takes_over():
    async with streamed_call(AGENT) as (line, _, runner, customer):
        customer.break_off()
        assert (await line.fallback())["action"] == "agent"
        await until(lambda: LegKind.AGENT in runner.kinds())


async def test_the_log_says_what_took_over(caplog):
    with caplog.at_level(logging.INFO):
        async with streamed_call(AGENT) as (line, _, _runner, customer):
            customer.break_off()
            await line.fallback()
    (record,) = [one for one in caplog.records if one.message == "stream.fallback"]
    assert (record.action, record.reason) == ("agent", "failed")


async def test_an_agent_that_cannot_be_added_ends_the_call(monkeypatch):
    async with streamed_call(AGENT) as (line, _, runner, customer):
        monkeypatch.setattr("bridge.node.running_legs.LEGS_PER_CALL", 1)
        customer.break_off()
        await line.fallback()
        await until(lambda: not runner.live)


async def test_a_server_that_has_finished_ends_the_call_whatever_the_fallback_is():
    async with streamed_call(AGENT) as (line, _, runner, customer):
        await customer.close()
        fallback = await line.fallback()
        assert (fallback["action"], fallback["reason"]) == ("hangup", "closed")
        await until(lambda: not runner.live)
        assert LegKind.AGENT not in [leg.kind for leg in runner.record().legs]


async def test_a_server_that_closes_with_an_error_is_a_lost_stream():
    async with streamed_call(AGENT) as (line, _, runner, customer):
        await customer.close(1011)
        fallback = await line.fallback()
        assert (fallback["action"], fallback["reason"]) == ("agent", "server_error")
        assert "1011" in str(fallback["error"])
        assert runner.live


@pytest.mark.parametrize("party", [Party.NEAR, Party.FAR])
@pytest.mark.parametrize("action", ["hangup", "agent"])
async def test_nothing_takes_over_where_somebody_else_is_in_the_call(action, party):
    async with streamed_call(Stream(fallback=action)) as (line, _, runner, customer):
        runner.add_leg(FakeLeg("other"), LegRole(party))
        customer.break_off()
        await line.ended()
        await asyncio.sleep(1.0)
        assert runner.live
        assert LegKind.AGENT not in runner.kinds()
        assert line.published.of("stream.fallback") == []


async def test_a_call_that_ends_as_its_stream_does_has_no_fallback():
    async with streamed_call(AGENT) as (line, _, runner, customer):
        seen = line.manager.publisher

        def end(event):
            if event.type == "stream.ended":
                runner.dispatch(events.HangupRequested())

        seen.subscribe(end)
        customer.break_off()
        await until(lambda: not runner.live)
        await asyncio.sleep(0.5)
        assert line.published.of("stream.fallback") == []


async def test_a_listener_does_not_keep_the_call():
    async with streamed_call() as (line, _, runner, customer), customer_server() as other:
        body = {"stream_url": other.url, "stream_type": "oneway", "stream_channel": "inbound"}
        path = f"/v1/call/{runner.facts.call_id}/streams?appid=demo"
        response = await line.client.http.post(path, json=body)
        assert response.status == 200, await response.text()
        await other.customer()
        customer.break_off()
        await until(lambda: not runner.live)
