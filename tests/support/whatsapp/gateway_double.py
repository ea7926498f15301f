"""Two WhatsApp engines for tests, written from their guides: ZuckZapGo's and WADial's dialect."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from aiohttp import web
from typing_extensions import override

from tests.support.whatsapp.gateway_engine import SESSION, TOKEN, DoubleCall, EngineDouble

__all__ = ["DOUBLES", "SESSION", "TOKEN", "WaDialDouble", "ZuckZapGoDouble"]


class ZuckZapGoDouble(EngineDouble):
    """`/call/*` with the header `token`, s16le (guide of 2026, §2, §4, §6)."""

    dialect = "zuckzapgo"

    @override
    def routes(self, application: web.Application) -> None:
        application.router.add_get("/call/status", self._status)
        for word in ("dial", "answer", "hangup"):
            application.router.add_post(f"/call/{word}", self._control)
        application.router.add_post("/call/reject/send", self._reject)
        application.router.add_get("/call/{call_id}/stream", self._stream)

    @override
    def authorised(self, request: web.Request) -> bool:
        return request.headers.get("token") == TOKEN

    @override
    def encode(self, samples: Any) -> bytes:
        return bytes(samples.astype("<i2").tobytes())

    @override
    def decode(self, data: bytes) -> Any:
        return np.frombuffer(data, "<i2")

    @override
    def check_length(self, data: bytes) -> None:
        if len(data) != 1920:
            self.problems.append(f"a message of {len(data)} bytes")

    @override
    def failure(self, status: int, words: str) -> web.Response:
        return web.json_response({"code": status, "error": words, "success": False}, status=status)

    async def _status(self, request: web.Request) -> web.Response:
        if refused := await self.admit(request, "status"):
            return refused
        listed = [
            {
                "callId": call.call_id,
                "peer": f"{call.number}@s.whatsapp.net",
                "state": call.state,
                "direction": call.direction,
                "video": False,
                "recording": False,
                "startedAt": "2026-06-28T12:00:00Z",
            }
            for call in self.calls.values()
        ]
        return _success({"calls": self.lists(listed)})

    async def _control(self, request: web.Request) -> web.Response:
        word = request.path.rpartition("/")[2]
        if refused := await self.admit(request, word):
            return refused
        body = await request.json()
        if word == "dial":
            if not body["phone"].isdigit():
                return self.failure(400, "phone missing")
            return _success({"callId": self.dial(body["phone"]).call_id})
        call = self.calls.get(body["callId"])
        if call is None:
            return self.failure(404, "call not found")
        if word == "answer":
            self.pick_up(call)
        else:
            await self.end(call)
        return _success({"ok": True})

    async def _reject(self, request: web.Request) -> web.Response:
        if refused := await self.admit(request, "send"):
            return refused
        body = await request.json()
        call = self.calls.get(body["call_id"])
        if call is None or body["call_from"] != f"{call.number}@s.whatsapp.net":
            return self.failure(404, "call not found")
        self.messages.append((call.number, body["message"]))
        await self.end(call)
        return web.json_response({"success": True, "action": "rejected", **body})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await self.media(request, request.match_info["call_id"])


class WaDialDouble(EngineDouble):
    """`/api/v1/sessions/{id}/calls` with a bearer key, f32le (pages on live calls)."""

    dialect = "wadial"
    second_bytes = 64_000

    def __init__(self) -> None:
        super().__init__()
        self.words = {"outbound": "outgoing", "inbound": "incoming", "calling": "initiating"}
        self.listeners: list[web.StreamResponse] = []
        self.last_ids: list[str | None] = []
        """What each listener said it had heard last."""

    @override
    def routes(self, application: web.Application) -> None:
        root = "/api/v1/sessions/" + SESSION + "/calls"
        application.router.add_get(root, self._list)
        application.router.add_post(root, self._start)
        application.router.add_post(root + "/{call_id}/{word:accept|end|reject}", self._control)
        application.router.add_get(root + "/{call_id}/media", self._media)
        application.router.add_get("/api/v1/sessions/" + SESSION + "/events", self._events)

    @override
    def authorised(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    @override
    def encode(self, samples: Any) -> bytes:
        return bytes((samples / 32768).astype("<f4").tobytes())

    @override
    def decode(self, data: bytes) -> Any:
        floats = np.frombuffer(data, "<f4")
        if floats.size and np.abs(floats).max() > 1.0:
            self.problems.append("a sample beyond full scale")
        return np.rint(floats * 32767).astype(np.int16)

    @override
    def check_length(self, data: bytes) -> None:
        if len(data) % 4:
            self.problems.append(f"a message of {len(data)} bytes")

    @override
    def failure(self, status: int, words: str) -> web.Response:
        return web.json_response({"error": {"code": "refused", "message": words}}, status=status)

    @override
    async def greet(self, call: DoubleCall, socket: web.WebSocketResponse) -> None:
        media = {"direction": "bidirectional", "encoding": "Float32LE", "sampleRate": 16000}
        await socket.send_json({"type": "ready", "media": media | {"channels": 1}})

    @override
    async def farewell(self, call: DoubleCall) -> None:
        await self.tell(call, {"type": "ended"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if refused := await self.admit(request, "events"):
            return refused
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.last_ids.append(request.headers.get("Last-Event-ID"))
        self.listeners.append(response)
        with suppress(ConnectionError):
            while response in self.listeners:
                await asyncio.sleep(0.01)
        return response

    async def publish(self, kind: str, call: DoubleCall, event_id: str = "evt_1") -> None:
        """Tell all listeners of an event of a call."""
        body = {
            "id": event_id,
            "type": kind,
            "sessionId": SESSION,
            "data": {"callId": call.call_id},
        }
        for listener in self.listeners:
            await listener.write(f"id: {event_id}\ndata: {json.dumps(body)}\n\n".encode())

    @override
    async def stop(self) -> None:
        self.listeners.clear()
        await super().stop()

    async def tell(self, call: DoubleCall, message: dict[str, Any]) -> None:
        """Send a text message to all sockets of a call."""
        for socket in list(call.sockets):
            with suppress(ConnectionError):
                await socket.send_json(message)

    def snapshot(self, call: DoubleCall) -> dict[str, Any]:
        """Return a call as the REST routes show it."""
        return {
            "callId": call.call_id,
            "peerJid": f"{call.number}@s.whatsapp.net",
            "direction": self.words[call.direction],
            "mediaType": "audio",
            "state": self.words.get(call.state, call.state),
            "transport": "websocket",
            "audioMuted": False,
        }

    async def _list(self, request: web.Request) -> web.Response:
        if refused := await self.admit(request, "status"):
            return refused
        listed = self.lists([self.snapshot(call) for call in self.calls.values()])
        return web.json_response({"data": listed})

    async def _start(self, request: web.Request) -> web.Response:
        if refused := await self.admit(request, "dial"):
            return refused
        number, _, server = (await request.json())["to"].partition("@")
        if server != "s.whatsapp.net":
            return self.failure(400, "to is no JID")
        return web.json_response({"data": self.snapshot(self.dial(number))}, status=201)

    async def _control(self, request: web.Request) -> web.Response:
        word = request.match_info["word"]
        if refused := await self.admit(request, {"accept": "answer"}.get(word, "hangup")):
            return refused
        call = self.calls.get(request.match_info["call_id"])
        if call is None:
            return self.failure(404, "call not found")
        if word == "accept":
            self.pick_up(call)
        else:
            await self.end(call)
        return web.json_response({"data": self.snapshot(call)})

    async def _media(self, request: web.Request) -> web.StreamResponse:
        return await self.media(request, request.match_info["call_id"])


def _success(data: dict[str, Any]) -> web.Response:
    return web.json_response({"code": 200, "data": data, "success": True})


DOUBLES: dict[str, Callable[[], EngineDouble]] = {
    "zuckzapgo": ZuckZapGoDouble,
    "wadial": WaDialDouble,
}
