"""Whole calls with a speech-to-speech model: it greets, listens, is interrupted, and calls functions."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import test_utils, web

from bridge.call import events
from bridge.call.model import Party
from bridge.call.routing import LegRole
from bridge.node.lines import InboundMode, LineConfig
from bridge.node.runner import CallRunner
from bridge.settings.model import Line, Realtime, RealtimeTool, Stream, Telemetry
from bridge.wire.stream.media_stream import StreamProtocol
from tests.support.clients.caller import Caller
from tests.support.clients.stream_line import LINE, LOCAL, StreamLine
from tests.support.fake_leg import FakeLeg
from tests.support.inprocess import running, settings
from tests.support.servers.collector import collecting
from tests.support.servers.realtime_double import (
    Call,
    RealtimeServer,
    Say,
    Script,
    Session,
    realtime_server,
)
from tests.support.servers.receiver import receiving
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

pytestmark = [pytest.mark.virtual_time, one_node_only]

WEATHER = RealtimeTool(name="weather", description="What the weather is like.")


class Talk:
    """A call in the stream."""

    def __init__(
        self, line: StreamLine, caller: Caller, runner: CallRunner, session: Session
    ) -> None:
        self.line = line
        self.caller = caller
        self.runner = runner
        self.session = session

    async def hears(self, seconds: float) -> None:
        """Wait until the caller has heard so much of the model."""
        await until(lambda: self.heard() >= seconds, timeout=30.0)

    def heard(self) -> float:
        """How much of what the caller was sent is no silence, in seconds."""
        return sum(any(frame.pcm) for frame in self.caller.heard) * 0.02


@asynccontextmanager
async def line_with(
    server_url: str,
    *,
    config: dict[str, Any] | None = None,
    telemetry: Telemetry | None = None,
    **realtime: Any,
) -> AsyncIterator[StreamLine]:
    """Run a bridge whose line answers calls into a model's server."""
    model = Realtime(**({"url": server_url, "key": "operators-key"} | realtime))
    line = Line(keys=["demo"], realtime=model, stream=Stream(secret="a-secret-of-many-characters"))
    traced = telemetry or Telemetry()
    async with running(settings(lines={LINE: line}, net=LOCAL, telemetry=traced)) as client:
        lines = client.bridge.lines.lines
        wanted = {"mode": InboundMode.STREAM, "stream_protocol": StreamProtocol.OPENAI_REALTIME}
        await lines.put(LINE, LineConfig(**(wanted | (config or {}))))
        await lines.connect(LINE)
        yield StreamLine(client)


@asynccontextmanager
async def talking(script: Script | None = None, **more: Any) -> AsyncIterator[Talk]:
    """Have a call with a model that follows a script."""
    async with realtime_server(script) as server, line_with(server.url, **more) as line:
        yield await begin(line, server)


async def begin(line: StreamLine, server: RealtimeServer) -> Talk:
    caller, runner = await line.ring()
    session = await server.session()
    await until(lambda: session.session and session.of("input_audio_buffer.append"))
    return Talk(line, caller, runner, session)


async def test_a_caller_is_greeted_and_talks_with_the_model():
    script = Script([[Say(1.0, 300)], [Say(1.0, 1000)]])
    async with talking(script, greeting="Hello.", instructions="Be brief.", voice="marin") as talk:
        await talk.hears(0.98)
        assert '"Hello."' in talk.session.instructions[0]
        assert talk.session.session["instructions"] == "Be brief."
        assert talk.session.session["audio"]["output"]["voice"] == "marin"
        assert talk.caller.hears(300)
        await talk.caller.say(0.6)
        assert talk.session.heard_tone()
        await talk.hears(1.9)
        assert talk.caller.hears(1000)
        assert talk.session.of("conversation.item.truncate") == []
        assert talk.session.errors == []


async def test_the_key_and_the_model_are_sent_to_the_operators_server():
    async with talking(model="some-model") as talk:
        assert talk.session.path == "/v1/realtime?model=some-model"
        assert talk.session.headers["Authorization"] == "Bearer operators-key"


@pytest.mark.full
async def test_the_models_server_is_told_the_calls_trace_beside_its_key():
    async with collecting() as collector:
        traced = Telemetry(endpoint=collector.url)
        async with realtime_server() as server, line_with(server.url, telemetry=traced) as line:
            talk = await begin(line, server)
            headers = talk.session.headers
            talk.runner.dispatch(events.HangupRequested())
            await until(lambda: collector.named("call"), timeout=30)
        opened, leg = collector.one("GET stream"), collector.one("leg stream")
        call_id = talk.runner.facts.call_id.lower()
        assert headers["traceparent"] == f"00-{call_id}-{opened.span_id}-01"
        assert headers["Authorization"] == "Bearer operators-key"
        assert opened.parent == leg.span_id
        assert opened.attributes["bridge.stream.protocol"] == "openai-realtime"


async def test_no_key_is_in_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    async with talking(Script([[Say(0.5)]]), greeting="Hello.") as talk:
        await talk.hears(0.4)
        talk.session.break_off()
        await talk.line.fallback()
    # The double's own library logs what it is sent.
    records = [vars(one) for one in caplog.records if not one.name.startswith("websockets")]
    assert "stream.dialled" in {record["msg"] for record in records}
    assert "operators-key" not in str(records)


async def test_a_customers_key_does_not_follow_a_redirect_to_another_server():
    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.headers["Authorization"])
        return web.Response(status=307, headers={"Location": server.url.replace("ws:", "http:")})

    asked: list[str] = []
    application = web.Application()
    application.router.add_get("/realtime", elsewhere)
    async with realtime_server() as server, test_utils.TestServer(application) as first:
        url = f"ws://127.0.0.1:{first.port}/realtime"
        config = {"stream_url": url, "provider_token": "customers-key"}
        async with line_with(server.url, config=config) as line:
            await line.ring()
            session = await server.session()
            assert asked == ["Bearer customers-key"]
            assert "Authorization" not in session.headers


async def test_an_interruption_is_heard_at_once_and_the_model_told_how_much_was_heard():
    async with talking(Script([[Say(5.0)], [Say(0.5, 1000)]]), greeting="Hello.") as talk:
        await talk.hears(2.0)
        await talk.caller.say(0.1)
        await until(lambda: talk.session.of("conversation.item.truncate"))
        heard = talk.heard()
        [cut] = talk.session.of("conversation.item.truncate")
        assert cut["audio_end_ms"] == pytest.approx(heard * 1000, abs=40)
        assert talk.session.errors == []
        await talk.caller.say(0.4)
        before = talk.heard()
        assert before == pytest.approx(heard, abs=0.04)
        await talk.hears(before + 0.4)
        assert talk.caller.hears(1000)


async def test_a_model_that_is_interrupted_in_the_middle_of_writing_says_no_more_of_it():
    # Five seconds take one to write: it is interrupted after 0.4.
    async with talking(Script([[Say(5.0)]]), greeting="Hello.") as talk:
        await talk.hears(0.4)
        await talk.caller.say(1.0)
        await asyncio.sleep(2.0)
        assert talk.heard() == pytest.approx(0.45, abs=0.1)
        [cut] = talk.session.of("conversation.item.truncate")
        assert cut["audio_end_ms"] == pytest.approx(450, abs=100)
        assert talk.session.of("response.cancel") == []


@pytest.mark.full
async def test_a_long_answer_is_heard_to_its_end():
    async with talking(Script([[Say(150.0)]]), greeting="Hello.") as talk:
        await asyncio.sleep(152.0)
        assert talk.heard() == pytest.approx(150.0, abs=0.1)
        talk.caller.hang_up()
        assert (await talk.line.ended())["droppedSeconds"] == 0


async def test_a_server_that_does_not_interrupt_by_itself_is_told_to_cancel():
    async with talking(Script([[Say(5.0)]], interrupts=False), greeting="Hello.") as talk:
        await talk.hears(0.4)
        await talk.caller.say(0.2)
        await until(lambda: talk.session.of("response.cancel"))
        await asyncio.sleep(1.0)
        assert talk.heard() < 0.6


async def test_a_server_of_the_beta_greets_in_the_voice_that_is_set():
    script = Script([[Say(0.5)]], beta=True)
    async with talking(script, greeting="Hello.", voice="verse") as talk:
        await talk.hears(0.4)
        assert talk.session.session["voice"] == "verse"
        assert talk.session.errors == ["unknown parameter session.audio"]
        assert talk.line.published.of("stream.error") == []


async def test_a_server_that_refuses_the_settings_talks_with_its_own():
    def refuses(message):
        return "no such voice" if message["type"] == "session.update" else ""

    async with (
        realtime_server(Script([[Say(0.5)]], refuses=refuses)) as server,
        line_with(server.url, greeting="Hello.", voice="nobody") as line,
    ):
        caller, _ = await line.ring()
        await until(lambda: sum(any(frame.pcm) for frame in caller.heard) > 20)
        [error] = line.published.of("stream.error")
        assert error["message"] == "no such voice"


async def test_a_function_is_run_by_the_operators_server_and_its_output_spoken_about():
    script = Script([[Say(0.2), Call("weather", '{"city":"Rome"}')], [Say(0.5, 1000)]])
    tools = {"tools": [WEATHER], "greeting": "Hello."}
    async with receiving() as hook, talking(script, tools_url=hook.url, **tools) as talk:
        await talk.hears(0.6)
        assert talk.caller.hears(1000)
        [taken] = hook.taken
        assert (taken.json["name"], taken.json["arguments"]) == ("weather", {"city": "Rome"})
        assert taken.headers["webhook-signature"].startswith("v1,")
        [item] = [one["item"] for one in talk.session.of("conversation.item.create")]
        assert (item["type"], item["output"]) == ("function_call_output", "")


async def test_the_time_of_a_function_is_marked_in_the_turn_that_waited_for_it():
    script = Script([[Call("weather")], [Say(0.5)], [Say(0.5)]])
    async with receiving() as hook, talking(script, tools_url=hook.url, tools=[WEATHER]) as talk:
        hook.delay = 0.7
        await talk.caller.say(0.6)
        await talk.hears(0.5)
        await asyncio.sleep(1.5)
        await talk.caller.say(0.6)
        await talk.hears(1.0)
        await until(lambda: len(talk.line.published.of("turn")) == 2)
        shown: list[Any] = talk.line.published.of("turn")
        first, second = shown
        assert first["tool"] == pytest.approx(700, abs=60)
        assert first["tool"] <= first["parts"]["bot"]
        assert second["tool"] is None


async def test_a_function_that_fails_is_told_to_the_model_and_published():
    script = Script([[Call("weather")], [Say(0.5, 1000)]])
    tools = {"tools": [WEATHER], "tools_url": "http://127.0.0.1:9/", "greeting": "Hello."}
    async with talking(script, **tools) as talk:
        await talk.hears(0.4)
        [item] = [one["item"] for one in talk.session.of("conversation.item.create")]
        assert json.loads(item["output"]) == {"error": "its server cannot be reached"}
        [error] = talk.line.published.of("stream.error")
        assert (error["code"], error["message"]) == (
            "function_failed",
            "weather: its server cannot be reached",
        )


async def test_a_model_that_hangs_up_is_heard_to_its_last_word():
    script = Script([[Say(2.0), Call("hang_up")]])
    async with talking(script, greeting="Goodbye.", hang_up=True) as talk:
        await talk.line.ended()
        assert talk.heard() == pytest.approx(2.0, abs=0.04)
        await until(lambda: talk.line.published.of("call.ended"))
        assert talk.line.published.of("stream.fallback") == []
        await until(talk.session.closed.is_set)
        assert len(talk.session.of("response.create")) == 1


async def test_a_model_that_hangs_up_beside_another_party_only_leaves():
    script = Script([[Say(1.0), Call("hang_up")]])
    async with talking(script, greeting="Goodbye.", hang_up=True) as talk:
        talk.runner.add_leg(FakeLeg("other"), LegRole(Party.NEAR))
        assert (await talk.line.ended())["reason"] == "stopped"
        await asyncio.sleep(1.0)
        assert talk.runner.live


async def test_a_caller_who_speaks_into_the_goodbye_keeps_the_call():
    script = Script([[Say(2.0), Call("hang_up")], [Say(0.5, 1000)]])
    async with talking(script, greeting="Goodbye.", hang_up=True) as talk:
        await talk.hears(1.0)
        await talk.caller.say(0.3)
        await until(lambda: talk.session.of("conversation.item.create"))
        [item] = [one["item"] for one in talk.session.of("conversation.item.create")]
        assert json.loads(item["output"])["hung_up"] is False
        await asyncio.sleep(3.0)
        assert talk.line.published.of("stream.ended") == []
        assert talk.caller.hears(1000)


async def test_a_key_is_told_to_the_model_which_answers():
    async with talking(Script([[Say(0.5, 1000)]])) as talk:
        talk.caller.press("5")
        await talk.hears(0.4)
        [item] = [one["item"] for one in talk.session.of("conversation.item.create")]
        assert item["content"][0]["text"] == "The caller pressed 5."


async def test_an_error_of_the_server_is_published_and_the_talk_goes_on():
    async with talking(Script([[Say(0.5)]])) as talk:
        error = {"type": "server_error", "code": "overloaded", "message": "try later"}
        await talk.session.send("error", error=error)
        await until(lambda: talk.line.published.of("stream.error"))
        [told] = talk.line.published.of("stream.error")
        assert (told["code"], told["message"]) == ("overloaded", "try later")
        await talk.caller.say(0.3)
        await talk.hears(0.4)


async def test_nonsense_is_counted_and_the_talk_goes_on():
    async with talking(Script([[Say(0.5)]])) as talk:
        for text in ("{", "[]", '{"type":"new.event"}', b"\x00", '{"type":"response.done"}'):
            await talk.session.send_raw(text)
        await talk.caller.say(0.3)
        await talk.hears(0.4)
        talk.caller.hang_up()
        assert (await talk.line.ended())["ignoredMessages"] == 4


async def test_a_server_that_dies_gives_the_call_to_the_fallback():
    async with talking(Script([[Say(5.0)]]), greeting="Hello.") as talk:
        await talk.hears(0.4)
        talk.session.break_off()
        assert (await talk.line.fallback())["reason"] == "failed"


async def test_the_callers_hang_up_ends_the_session():
    async with talking() as talk:
        talk.caller.hang_up()
        await until(talk.session.closed.is_set)
        assert (await talk.line.ended())["protocol"] == "openai-realtime"


async def test_what_the_line_has_set_itself_replaces_what_the_operator_has():
    config = {"system_prompt": "Be kind.", "greeting": "Hi."}
    async with talking(config=config, instructions="Be brief.", greeting="Hello.") as talk:
        await until(lambda: talk.session.instructions)
        assert talk.session.session["instructions"] == "Be kind."
        assert '"Hi."' in talk.session.instructions[0]
