"""The double of a realtime server against OpenAI's own client and its types."""

import asyncio
import base64
from typing import Any

import pytest

from tests.support.servers.realtime_double import Call, Say, Script, realtime_server
from tests.support.waiting import until
from tests.wire.stream.test_realtime_events import unknown_fields

pytestmark = pytest.mark.examples

LOUD = base64.b64encode(b"\x00\x20" * 480).decode()
QUIET = base64.b64encode(bytes(960)).decode()


async def talk(connection: Any) -> list[Any]:
    """Have a conversation with everything in it; returns the server's events."""
    events: list[Any] = []

    async def listen() -> None:
        async for event in connection:
            events.append(event)  # noqa: PERF401 - others look at them meanwhile

    listening = asyncio.create_task(listen())
    await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
    await connection.response.create(response={"instructions": "Greet."})
    await until(lambda: any(event.type == "response.output_audio.delta" for event in events))
    for frame in [LOUD] * 3 + [QUIET] * 20:
        await connection.input_audio_buffer.append(audio=frame)
    [item] = {event.item_id for event in events if event.type == "response.output_audio.delta"}
    await connection.conversation.item.truncate(item_id=item, content_index=0, audio_end_ms=50)
    done = "response.function_call_arguments.done"
    await until(lambda: any(event.type == done for event in events))
    await connection.response.cancel()
    await until(lambda: any(event.type == "error" for event in events))
    listening.cancel()
    return events


async def test_openais_client_talks_with_it_and_finds_every_event_in_its_types():
    from openai import AsyncOpenAI

    script = Script([[Say(5.0)], [Say(0.2), Call("weather")]])
    async with realtime_server(script) as server:
        base = server.url.removesuffix("/realtime")
        async with (
            AsyncOpenAI(api_key="key", websocket_base_url=base) as client,
            client.realtime.connect(model="m") as connection,
        ):
            events = await talk(connection)
        [session] = server.sessions
    assert session.path == "/v1/realtime?model=m"
    assert session.headers["Authorization"] == "Bearer key"
    for event in events:
        # The client itself takes events of any shape.
        assert unknown_fields(type(event).model_validate(event.to_dict())) == [], event
    assert {event.type for event in events} >= {
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "conversation.item.added",
        "conversation.item.truncated",
        "response.created",
        "response.output_audio.delta",
        "response.done",
    }
    [cancelled, *_] = [event.response for event in events if event.type == "response.done"]
    assert cancelled.status_details.reason == "turn_detected"
