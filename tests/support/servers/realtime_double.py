"""A speech-to-speech model's server, written from OpenAI's public reference of the realtime interface.

It hears whether somebody speaks, and answers what its script says, faster than it can be played.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.waiting import until

RATE = 24_000
DELTA_SECONDS = 0.1
SPEED = 5
"""How much faster than it can be played speech is written."""
LOUD = 500
QUIET_FRAMES = 15
"""Silence that ends the caller's turn, in messages of 20 ms."""
DETECTION = {"type": "server_vad", "create_response": True, "interrupt_response": True}
PCM = {"type": "audio/pcm", "rate": RATE}
FIELDS = {"type", "output_modalities", "audio", "instructions", "tools", "tool_choice"}
BETA_FIELDS = {
    *("modalities", "input_audio_format", "output_audio_format", "turn_detection", "voice"),
    *("instructions", "tools", "tool_choice"),
}


@dataclass(frozen=True)
class Say:
    """Speech: a tone."""

    seconds: float
    hertz: float = 440.0


@dataclass(frozen=True)
class Call:
    """A function call."""

    name: str
    arguments: str = "{}"


@dataclass
class Script:
    """What the model answers: a response for each turn, then nothing."""

    responses: list[Sequence[Say | Call]] = field(default_factory=list)
    beta: bool = False
    interrupts: bool = True
    """Whether a response ends by itself when the caller speaks."""
    refuses: Callable[[dict[str, Any]], str] = lambda message: ""
    """Returns the text of an error for a message."""


class Session:
    """One connection."""

    def __init__(self, connection: ServerConnection, script: Script) -> None:
        request = connection.request
        assert request is not None
        self.path, self.headers = request.path, request.headers
        self.messages: list[dict[str, Any]] = []
        self.heard = bytearray()
        self.session: dict[str, Any] = {}
        self.items: dict[str, float] = {}
        """The milliseconds of audio of each item."""
        self.errors: list[str] = []
        self.instructions: list[str] = []
        """Of the responses that were asked for."""
        self.closed = asyncio.Event()
        self._connection = connection
        self._script = script
        self._number = 0
        self._response: asyncio.Task[None] | None = None
        self._speaking = False
        self._quiet = 0

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def heard_tone(self) -> bool:
        """Whether anything but silence was heard."""
        return bool(np.abs(np.frombuffer(bytes(self.heard), "<i2")).max(initial=0) > LOUD)

    async def send(self, kind: str, **fields: Any) -> None:
        self._number += 1
        event = {"type": kind, "event_id": f"event_{self._number}"} | fields
        await self._connection.send(json.dumps(event))

    async def send_raw(self, text: str | bytes) -> None:
        await self._connection.send(text)

    def break_off(self) -> None:
        """End the connection as a process that dies does."""
        self._connection.transport.abort()

    async def follow(self) -> None:
        """Serve until the client is gone."""
        try:
            await self.send("session.created", session=self._shown({}))
            while True:
                await self._take(json.loads(await self._connection.recv()))
        except ConnectionClosed:
            pass
        finally:
            if self._response is not None:
                self._response.cancel()
            self.closed.set()

    async def _take(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if text := self._script.refuses(message):
            await self._fail(message, text)
            return
        match message["type"]:
            case "session.update":
                await self._update(message)
            case "input_audio_buffer.append":
                await self._hear(base64.b64decode(message["audio"], validate=True))
            case "response.create":
                await self._create(message)
            case "response.cancel":
                await self._cancel("client_cancelled")
            case "conversation.item.create":
                item = {"id": f"item_{self._number}"} | message["item"]
                await self._add(item)
            case "conversation.item.truncate":
                await self._truncate(message)
            case _:
                await self._fail(message, f"unknown event {message['type']}")

    async def _update(self, message: dict[str, Any]) -> None:
        session = message["session"]
        known = BETA_FIELDS if self._script.beta else FIELDS
        if unknown := set(session) - known:
            await self._fail(message, f"unknown parameter session.{min(unknown)}")
            return
        self.session = session
        await self.send("session.updated", session=self._shown(session))

    def _shown(self, session: dict[str, Any]) -> dict[str, Any]:
        detection = DETECTION | {"interrupt_response": self._script.interrupts}
        if self._script.beta:
            form = {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}
            return {**form, **session, "turn_detection": detection}
        audio = {"input": {"format": PCM, "turn_detection": detection}, "output": {"format": PCM}}
        return {"type": "realtime", **session, "audio": audio}

    async def _hear(self, pcm: bytes) -> None:
        self.heard += pcm
        loud = bool(np.abs(np.frombuffer(pcm, "<i2")).max(initial=0) > LOUD)
        self._quiet = 0 if loud else self._quiet + 1
        if loud and not self._speaking:
            self._speaking = True
            at = len(self.heard) // 48
            await self.send(
                "input_audio_buffer.speech_started", audio_start_ms=at, item_id="item_user"
            )
            if self._script.interrupts and self._goes_on():
                await self._cancel("turn_detected")
        elif self._speaking and self._quiet >= QUIET_FRAMES:
            self._speaking = False
            at = len(self.heard) // 48
            await self.send(
                "input_audio_buffer.speech_stopped", audio_end_ms=at, item_id="item_user"
            )
            await self.send(
                "input_audio_buffer.committed", item_id="item_user", previous_item_id=None
            )
            await self._add({"id": "item_user", "type": "message", "role": "user", "content": []})
            await self._respond()

    def _goes_on(self) -> bool:
        return self._response is not None and not self._response.done()

    async def _create(self, message: dict[str, Any]) -> None:
        if self._goes_on():
            code = "conversation_already_has_active_response"
            await self._fail(message, "there is an active response", code=code)
            return
        self.instructions.append(message.get("response", {}).get("instructions", ""))
        await self._respond()

    async def _respond(self) -> None:
        outputs = self._script.responses.pop(0) if self._script.responses else ()
        response_id = f"resp_{self._number}"
        shown = {"id": response_id, "status": "in_progress", "conversation_id": "conv_1"}
        await self.send("response.created", response=shown | {"output": []})
        self._response = asyncio.create_task(self._write(response_id, outputs))

    async def _write(self, response_id: str, outputs: Sequence[Say | Call]) -> None:
        items: list[dict[str, Any]] = []
        status, details = "completed", None
        try:
            for output in outputs:
                if isinstance(output, Say):
                    await self._say(response_id, output, items)
                else:
                    await self._call(response_id, output, items)
        except asyncio.CancelledError as error:
            if not error.args:
                raise
            status, details = "cancelled", {"type": "cancelled", "reason": error.args[0]}
        with suppress(ConnectionClosed):
            shown = {"id": response_id, "status": status, "status_details": details}
            await self.send("response.done", response=shown | {"output": items})

    async def _say(self, response_id: str, say: Say, items: list[dict[str, Any]]) -> None:
        item: dict[str, Any] = {
            "id": f"item_{response_id}_{len(items)}",
            "type": "message",
            "role": "assistant",
            "content": [],
        }
        where = {"response_id": response_id, "item_id": item["id"], "output_index": len(items)}
        items.append(item)
        place = {"response_id": response_id, "output_index": where["output_index"]}
        await self.send("response.output_item.added", item=item, **place)
        await self._add(item)
        self.items[item["id"]] = 0.0
        name = "audio" if self._script.beta else "output_audio"
        count = round(DELTA_SECONDS * RATE)
        for number in range(round(say.seconds / DELTA_SECONDS)):
            moments = (np.arange(count) + number * count) / RATE
            pcm = (8000 * np.sin(2 * np.pi * say.hertz * moments)).astype("<i2").tobytes()
            self.items[item["id"]] += DELTA_SECONDS * 1000
            delta = base64.b64encode(pcm).decode()
            await self.send(f"response.{name}.delta", delta=delta, content_index=0, **where)
            await asyncio.sleep(DELTA_SECONDS / SPEED)
        await self.send(f"response.{name}.done", content_index=0, **where)
        await self.send("response.output_item.done", item=item | {"status": "completed"}, **place)

    async def _call(self, response_id: str, call: Call, items: list[dict[str, Any]]) -> None:
        item = {
            "id": f"item_{response_id}_{len(items)}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{response_id}_{len(items)}",
            "name": call.name,
            "arguments": call.arguments,
        }
        where = {"response_id": response_id, "item_id": item["id"], "output_index": len(items)}
        items.append(item)
        await self._add(item)
        told = {name: item[name] for name in ("call_id", "name", "arguments")}
        await self.send("response.function_call_arguments.done", **told, **where)
        place = {"response_id": response_id, "output_index": where["output_index"]}
        await self.send("response.output_item.done", item=item, **place)

    async def _cancel(self, reason: str) -> None:
        if self._response is None or self._response.done():
            await self._fail({}, "nothing to cancel", code="response_cancel_not_active")
            return
        self._response.cancel(reason)
        await asyncio.wait([self._response])

    async def _add(self, item: dict[str, Any]) -> None:
        kinds = ("created",) if self._script.beta else ("added", "done")
        for kind in kinds:
            await self.send(f"conversation.item.{kind}", item=item, previous_item_id=None)

    async def _truncate(self, message: dict[str, Any]) -> None:
        item_id, end = message["item_id"], message["audio_end_ms"]
        if end > self.items.get(item_id, -1):
            await self._fail(message, f"Audio content is already shorter than {end}ms")
            return
        self.items[item_id] = end
        where = {"item_id": item_id, "content_index": 0, "audio_end_ms": end}
        await self.send("conversation.item.truncated", **where)

    async def _fail(self, message: dict[str, Any], text: str, code: str = "invalid_value") -> None:
        self.errors.append(text)
        error = {"type": "invalid_request_error", "code": code, "message": text}
        await self.send("error", error=error | {"event_id": message.get("event_id")})


class RealtimeServer:
    """Where the bridge dials."""

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"
        self.sessions: list[Session] = []

    async def session(self, number: int = 0) -> Session:
        await until(lambda: len(self.sessions) > number)
        return self.sessions[number]


@asynccontextmanager
async def realtime_server(
    script: Script | None = None, port: int = 0
) -> AsyncIterator[RealtimeServer]:
    """Run a server on loopback for the length of a `with`."""
    chosen, sessions = script or Script(), list[Session]()

    async def serve_one(connection: ServerConnection) -> None:
        session = Session(connection, chosen)
        sessions.append(session)
        await session.follow()

    async with serve(serve_one, "127.0.0.1", port, close_timeout=1) as server:
        [listener] = server.sockets
        here = RealtimeServer(listener.getsockname()[1])
        here.sessions = sessions
        yield here
