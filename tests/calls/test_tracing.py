"""Whole calls whose traces go to a collector: what they consist of, whose they are, and what they never say."""

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.call.model import LineName
from bridge.settings.model import Agent, Line, Net, Settings, Telemetry, WhatsApp
from tests.support.inprocess import KEY, Client, running, settings
from tests.support.peers.bridge_peer import talk_until_heard
from tests.support.peers.light_peer import LightPeer
from tests.support.servers.collector import collecting
from tests.support.servers.provider_double import providing
from tests.support.servers.receiver import receiving
from tests.support.servers.stream_customer import customer_server
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until
from tests.support.whatsapp.gateway_double import TOKEN, ZuckZapGoDouble

pytestmark = [pytest.mark.call, one_node_only]

ECHO, TALKS = "15550100001", "15550100002"
CUSTOMERS = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{CUSTOMERS}-00f067aa0ba902b7-00"
CANARIES = ("Canary Name", "canary-key", "canary words", "canary-path", "canary-query", "4711#42")


def traced(url: str, **telemetry: Any) -> Settings:
    """Settings of a bridge that exports its traces."""
    return settings(
        net=Net(allow=["127.0.0.0/8"]),
        agent=Agent(end_seconds=0.2),
        telemetry=Telemetry(endpoint=url, **telemetry),
    )


@asynccontextmanager
async def tracing(**telemetry: Any):
    """Yield a bridge and the collector of its traces."""
    async with collecting() as collector, running(traced(collector.url, **telemetry)) as client:
        yield client, collector


def spans(client: Client, outcome: str) -> float:
    """Return how many spans have that outcome."""
    series = f'bridge_telemetry_spans_total{{outcome="{outcome}"}} '
    rows = client.bridge.node.metrics.render().decode().splitlines()
    [row] = [row for row in rows if row.startswith(series)]
    return float(row.removeprefix(series))


async def root(collector):
    """Return the span of the only call, once it has come."""
    await until(lambda: collector.named("call"), timeout=30)
    return collector.one("call")


async def talk_with_agent(client: Client, double, **config: Any) -> str:
    """Let a caller be answered by an agent, and hang up after a turn."""
    config = double.config("ai", **config)
    response = await client.http.put("/call/config", json=config, headers=KEY)
    assert response.status == 200, await response.text()
    await client.data("/session/connect", {})
    heard: list[str] = []
    client.bridge.manager.publisher.subscribe(lambda event: heard.append(event.type))
    call_id = str((await client.data("/simulator/incoming", {"from": TALKS}))["callId"])
    await until(lambda: "turn" in heard, timeout=60)
    await client.data("/call/hangup", {"callId": call_id})
    await until(lambda: "call.ended" in heard, timeout=40)
    return call_id


@pytest.mark.full
async def test_a_call_with_an_agent_is_one_trace_of_legs_turns_and_provider_requests():
    async with providing() as double, tracing() as (client, collector):
        call_id = await talk_with_agent(client, double)
        call = await root(collector)
        agent = collector.one("leg agent")
        assert {span.trace_id for span in collector.spans} == {call_id.lower()}
        assert collector.children(call) == {"leg simulator", "leg agent"}
        assert collector.children(agent) == {
            "agent reply",
            "invoke_agent agent",
            "speech_to_text",
            "chat",
            "text_to_speech",
        }
        heard = {parent.split("-")[2] for parent in double.parents}
        asked = collector.named("chat") + collector.named("speech_to_text")
        assert {span.span_id for span in asked} <= heard
        assert collector.resource["service.name"] == "webrtc-media-bridge"
        assert spans(client, "exported") > 0


async def test_a_call_from_a_browser_has_spans_of_ice_dtls_and_the_first_packets():
    async with tracing() as (client, collector), LightPeer() as browser:
        call_id = await client.dial(ECHO)
        exchange = client.exchange(call_id)
        await browser.accept(await exchange(await browser.offer()))
        await talk_until_heard(browser)
        await client.data("/call/hangup", {"callId": call_id})
        await root(collector)
        steps = {"signalling", "ice", "dtls", "first packet received", "first packet sent"}
        assert steps <= collector.children(collector.one("leg webrtc"))
        assert not any(span.failed for span in collector.spans)


async def test_a_call_that_a_request_with_a_key_began_is_a_child_of_its_trace():
    async with tracing() as (client, collector), receiving() as hook:
        await client.data("/webhook", {"url": f"{hook.url}/canary-path?key=canary-key"})
        headers = KEY | {"traceparent": PARENT, "tracestate": "a=1"}
        response = await client.http.post("/call/dial", json={"phone": ECHO}, headers=headers)
        call_id = (await response.json())["data"]["callId"]
        await client.data("/call/hangup", {"callId": call_id})
        call = await root(collector)
        assert (call.trace_id, call.parent) == (CUSTOMERS, "00f067aa0ba902b7")
        await until(lambda: any(one.json["type"] == "call.ended" for one in hook.taken))
        told = [one.headers["traceparent"].split("-") for one in hook.taken]
        assert {trace for _, trace, _, _ in told} == {CUSTOMERS}
        assert {one.headers["tracestate"] for one in hook.taken} == {"a=1"}
        await until(lambda: len(collector.named("POST webhook")) >= len(told), timeout=20)
        delivered = collector.named("POST webhook")
        assert {span for _, _, span, _ in told} <= {one.span_id for one in delivered}
        assert {one.parent for one in delivered} == {call.span_id}
        assert b"canary" not in collector.raw


@pytest.mark.full
async def test_a_malformed_context_is_ignored():
    async with tracing() as (client, collector):
        headers = KEY | {"traceparent": f"00-{CUSTOMERS}-0000000000000000-01"}
        response = await client.http.post("/call/dial", json={"phone": ECHO}, headers=headers)
        call_id = (await response.json())["data"]["callId"]
        await client.data("/call/hangup", {"callId": call_id})
        call = await root(collector)
        assert (call.trace_id, call.parent) == (call_id.lower(), "")


async def test_a_streams_server_is_told_the_trace_in_the_handshake_and_at_the_start():
    async with tracing() as (client, collector), customer_server() as server:
        call_id = await client.dial(ECHO)
        await client.until_state(call_id, "active")
        body = {"streamUrl": f"{server.url}/canary-path", "streamProtocol": "twilio"}
        await client.data(f"/call/{call_id}/streams", body)
        customer = await server.customer()
        await until(lambda: customer.of("start"))
        await client.data("/call/hangup", {"callId": call_id})
        await root(collector)
        leg, opened = collector.one("leg stream"), collector.one("GET stream")
        start = customer.of("start")[0]["start"]["customParameters"]["traceparent"]
        assert start == f"00-{call_id.lower()}-{leg.span_id}-01"
        handshake = customer.headers["traceparent"]
        assert handshake == f"00-{call_id.lower()}-{opened.span_id}-01"
        assert opened.parent == leg.span_id
        assert opened.attributes["bridge.stream.protocol"] == "twilio"
        assert opened.attributes["http.response.status_code"] == 101


@pytest.mark.full
async def test_a_call_whose_provider_refuses_the_dial_is_a_trace_with_the_request_that_failed():
    async with ZuckZapGoDouble() as engine, collecting() as collector:
        engine.refuse["dial"] = (409, "canary words")
        whatsapp = WhatsApp(provider="gateway", dialect="zuckzapgo", url=engine.url, token=TOKEN)
        lines = {"main": Line(keys=["demo"], whatsapp=whatsapp)}
        telemetry = Telemetry(endpoint=collector.url)
        async with running(settings(lines=lines, telemetry=telemetry)) as client:
            headers = KEY | {"traceparent": PARENT}
            response = await client.http.post(
                "/call/dial", json={"phone": "15550107001"}, headers=headers
            )
            assert response.status == 409
            call = await root(collector)
    leg, request = collector.one("leg gateway"), collector.one("provider request")
    assert (call.trace_id, call.parent) == (CUSTOMERS, "00f067aa0ba902b7")
    assert (call.attributes["error.type"], call.attributes["bridge.call.answered"]) == (
        "failed",
        False,
    )
    assert (leg.parent, request.parent, request.failed) == (call.span_id, leg.span_id, True)
    assert not any(word in collector.raw for word in (b"canary", b"15550107001"))


@pytest.mark.full
async def test_of_calls_that_are_not_in_the_ratio_nothing_is_exported_or_begun():
    async with providing() as double, tracing(ratio=0.0) as (client, collector):
        await talk_with_agent(client, double)
        await asyncio.sleep(10)
        assert (collector.requests, double.parents) == (0, [])


@pytest.mark.full
async def test_without_an_endpoint_nobody_is_told_of_a_trace():
    async with running(traced("")) as client, receiving() as hook:
        await client.data("/webhook", {"url": hook.url})
        headers = KEY | {"traceparent": PARENT}
        response = await client.http.post("/call/dial", json={"phone": ECHO}, headers=headers)
        call_id = (await response.json())["data"]["callId"]
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: any(one.json["type"] == "call.ended" for one in hook.taken))
        assert not any("traceparent" in one.headers for one in hook.taken)
        assert (
            client.bridge.manager.record(LineName("demo"), call_id).facts.details.trace.traceparent
            == ""
        )


@pytest.mark.full
async def test_a_dead_collector_costs_spans_and_no_call(caplog):
    caplog.set_level(logging.INFO)
    async with tracing(seconds=0.2) as (client, collector):
        collector.status = 503
        for _ in range(3):
            call_id = await client.dial(ECHO)
            await client.until_state(call_id, "active")
            await client.data("/call/hangup", {"callId": call_id})
        await asyncio.sleep(60)
        assert spans(client, "failed") > 0
        assert spans(client, "exported") == 0
    messages = [one.message for one in caplog.records if one.message.startswith("telemetry")]
    assert messages == ["telemetry.collector_lost"]
    assert [one for one in caplog.records if one.name.startswith("opentelemetry")] == []


@pytest.mark.full
async def test_no_number_name_word_digit_or_key_is_in_what_is_exported():
    async with providing() as double, tracing() as (client, collector), receiving() as hook:
        hook.answer = lambda taken: 500
        double.answers["stt"] = {"text": "canary words of the caller"}
        double.answers["llm"] = {"reply": "canary words of the agent."}
        await client.data("/webhook", {"url": f"{hook.url}/canary-path?token=canary-query"})
        urls = {
            f"call{step.title()}Url": f"{double.root}/{step}?name=canary-query&number={TALKS}"
            for step in ("stt", "llm", "tts")
        }
        call_id = await talk_with_agent(
            client,
            double,
            callProviderToken="canary-key",
            callGreeting="Good day, Canary Name.",
            callSystemPrompt="canary words",
            **urls,
        )
        headers = KEY | {"traceparent": PARENT, "tracestate": f"number={TALKS}"}
        response = await client.http.post("/call/dial", json={"phone": ECHO}, headers=headers)
        other = (await response.json())["data"]["callId"]
        await client.until_state(other, "active")
        await client.data("/call/dtmf", {"callId": other, "digits": "4711#42"})
        await client.data("/call/hangup", {"callId": other})
        await until(lambda: len(collector.named("call")) >= 2, timeout=30)
        await until(lambda: collector.named("POST webhook"), timeout=30)
        found = [one for one in CANARIES if one.encode() in collector.raw]
        numbers = [one for one in (TALKS, ECHO, "15550109000") if one.encode() in collector.raw]
        assert (found, numbers) == ([], [])
        assert call_id.encode() in collector.raw
