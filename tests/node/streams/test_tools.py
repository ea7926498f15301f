"""Functions of a model: what the operator's server is asked, and what comes back."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.legs.stream_functions import FunctionFailed
from bridge.node.streams.tools import HANG_UP_TOOL, MAX_OUTPUT, StreamTools
from bridge.settings.model import Realtime, RealtimeTool
from bridge.telemetry.trace import UNTRACED, Tracer
from bridge.wire import signature
from bridge.wire.stream.media_stream import Channel, StreamFacts, StreamType
from bridge.wire.trace_context import NONE

pytestmark = pytest.mark.virtual_time

FACTS = StreamFacts("s", "c", StreamType.TWOWAY, Channel.INBOUND, parameters={"shop": "7"})
SECRET, FORMER = "a-secret-of-many-characters", "another-secret-of-many-characters"


class Server:
    """The operator's, which answers every function in the same way."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Any = lambda: web.Response(text="sunny")

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((headers, await request.read()))
        answer = self.answer()
        response: web.Response = await answer if asyncio.iscoroutine(answer) else answer
        return response


@asynccontextmanager
async def asking(secrets=(), trace=UNTRACED, **realtime):
    """A server, and the functions of a stream that ask it."""
    server, http = Server(), Http(Guard(allow=[], require_tls=False))
    application = web.Application()
    application.router.add_post("/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/tools"
        settings = Realtime(
            **({"tools": [RealtimeTool(name="weather")], "tools_url": server.url} | realtime)
        )
        no_call: Any = None
        yield (
            StreamTools(
                no_call, FACTS, settings, session=http.trusted, secrets=secrets, trace=trace
            ),
            server,
        )
    finally:
        await http.aclose()
        await runner.cleanup()


async def failure(tools, name="weather", arguments="{}") -> str:
    with pytest.raises(FunctionFailed) as failed:
        await tools.call(name, arguments)
    return failed.value.message


async def test_a_function_is_posted_with_its_call_and_arguments():
    async with asking() as (tools, server):
        assert await tools.call("weather", '{"city":"Rome"}') == "sunny"
        [(headers, body)] = server.requests
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == {
            "callId": "c",
            "streamId": "s",
            "name": "weather",
            "arguments": {"city": "Rome"},
            "parameters": {"shop": "7"},
        }
        assert "webhook-signature" not in headers


async def test_a_function_is_a_span_of_its_stream_and_its_server_is_told_of_it():
    spans: list[Any] = []
    trace = Tracer(spans.append).of("00AB", NONE)
    async with asking(trace=trace) as (tools, server):
        await tools.call("weather", '{"city":"canary"}')
        [(headers, _)] = server.requests
    [span] = spans
    assert (span.name, span.parent_id) == ("execute_tool weather", trace.leg_id("s"))
    assert headers["traceparent"] == trace.headers(span.span_id)["traceparent"]
    assert "canary" not in str(span)


async def test_a_request_is_signed_by_both_secrets_while_one_is_changed():
    async with asking(secrets=[SECRET, FORMER]) as (tools, server):
        await tools.call("weather", "{}")
        [(headers, body)] = server.requests
        expected = signature.standard(
            SECRET,
            headers["webhook-id"],
            body,
            now=float(headers["webhook-timestamp"]),
            former=[FORMER],
        )
        assert expected.items() <= headers.items()


async def test_every_request_has_an_id_of_its_own():
    async with asking(secrets=[SECRET]) as (tools, server):
        for _ in range(2):
            await tools.call("weather", "{}")
        assert len({headers["webhook-id"] for headers, _ in server.requests}) == 2


async def test_no_arguments_are_no_arguments():
    async with asking() as (tools, server):
        await tools.call("weather", "")
        assert json.loads(server.requests[0][1])["arguments"] == {}


@pytest.mark.parametrize("arguments", ["[]", '"a"', "{", "null", "[" * 9999])
async def test_arguments_that_are_no_object_are_not_posted(arguments):
    async with asking() as (tools, server):
        assert await failure(tools, arguments=arguments) == "the arguments are not a JSON object"
        assert server.requests == []


@pytest.mark.parametrize("name", ["else", "hang_up", ""])
async def test_a_function_that_was_not_offered_is_not_posted(name):
    async with asking() as (tools, server):
        assert await failure(tools, name) == "there is no such function"
        assert server.requests == []


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_status_is_told_to_the_model(status):
    async with asking() as (tools, server):
        server.answer = lambda: web.Response(status=status, headers={"Location": server.url})
        assert await failure(tools) == f"its server answered with the status {status}"
        assert len(server.requests) == 1


async def test_a_server_that_is_too_slow_is_given_up():
    async def slow():
        await asyncio.sleep(60)
        return web.Response()

    async with asking(tool_seconds=2.0) as (tools, server):
        server.answer = slow
        began = asyncio.get_running_loop().time()
        assert await failure(tools) == "no answer within 2 s"
        assert asyncio.get_running_loop().time() - began == pytest.approx(2.0, abs=0.5)


async def test_a_server_that_is_not_there_is_told_to_the_model():
    async with asking(tools_url="http://127.0.0.1:9/") as (tools, _):
        assert await failure(tools) == "its server cannot be reached"


@pytest.mark.parametrize("more", [0, 1])
async def test_an_output_has_a_largest_size(more):
    async with asking() as (tools, server):
        server.answer = lambda: web.Response(body=b"x" * (MAX_OUTPUT + more))
        if more:
            assert "larger than" in await failure(tools)
        else:
            assert len(await tools.call("weather", "{}")) == MAX_OUTPUT


async def test_an_output_that_is_no_text_is_read_as_well_as_it_can_be():
    async with asking() as (tools, server):
        server.answer = lambda: web.Response(body=b"sunny\xff")
        assert await tools.call("weather", "{}") == "sunny\ufffd"


def test_the_model_is_told_what_hanging_up_does():
    assert HANG_UP_TOOL.name == "hang_up"
    assert HANG_UP_TOOL.parameters == {"type": "object", "properties": {}}
