"""Two WhatsApp engines for tests, written from their guides: ZuckZapGo's and WADial's dialect.

An engine has calls of the test's making; the far party says what it is told to, or echoes. It
knows nothing of the bridge's code. Faults are switches: `refuse` answers the next requests with a
status, `drop_sockets` cuts media, `end(close=False)` lets a call vanish behind an open socket.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from typing_extensions import override

TOKEN = "canary-engine-token-5b1d"
SESSION = "019e-session"
PIECE = 960
"""Samples of one message: 60 ms."""


@dataclass
class DoubleCall:
    """A call on the engine."""

    call_id: str
    number: str
    direction: str
    state: str
    heard: list[bytes] = field(default_factory=list)
    """Messages of the bridge as they came."""
    heard_at: list[float] = field(default_factory=list)
    says: Any = None
    """What the far party says, int16; None echoes."""
    said: int = 0
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    opened: int = 0


class EngineDouble:
    """What both dialects share; use as `async with ZuckZapGoDouble() as engine`."""

    dialect = ""

    def __init__(self) -> None:
        self.calls: dict[str, DoubleCall] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        """By the last part of a path: status and words of every such request."""
        self.answers_at_once = True
        self.stalled = False
        """Requests are never answered."""
        self.speech: Any = None
        self.problems: list[str] = []
        """What the bridge did that a guide forbids."""
        self._count = 0
        application = web.Application()
        self.routes(application)
        self._server = TestServer(application)

    async def __aenter__(self) -> "EngineDouble":
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stalled = False
        for call in list(self.calls.values()):
            await self.drop_sockets(call)
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    def routes(self, application: web.Application) -> None:
        raise NotImplementedError

    def authorised(self, request: web.Request) -> bool:
        raise NotImplementedError

    def encode(self, samples: Any) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError

    def check_length(self, data: bytes) -> None:
        raise NotImplementedError

    # What a test does

    def ring(self, number: str = "15550107777") -> DoubleCall:
        """Let somebody ring the engine's number."""
        return self._begin(number, "inbound", "ringing")

    def pick_up(self, call: DoubleCall) -> None:
        """Let the far party answer."""
        call.state = "active"

    async def end(self, call: DoubleCall, *, close: bool = True) -> None:
        """Let the far party hang up; `close=False` leaves the socket open."""
        self.calls.pop(call.call_id, None)
        call.state = "ended"
        if close:
            await self.farewell(call)
            await self.drop_sockets(call)

    async def farewell(self, call: DoubleCall) -> None:
        """Say on the socket that the call is over, where the dialect does so."""

    async def drop_sockets(self, call: DoubleCall) -> None:
        """Cut the media of a call."""
        for socket in list(call.sockets):
            with suppress(ConnectionError):
                await socket.close()

    def heard(self, call: DoubleCall) -> Any:
        """Everything the far party heard, int16 at 16 kHz."""
        return self.decode(b"".join(call.heard))

    @property
    def only(self) -> DoubleCall:
        [call] = self.calls.values()
        return call

    # What the bridge asks

    def _begin(self, number: str, direction: str, state: str) -> DoubleCall:
        self._count += 1
        call = DoubleCall(f"CA/{self._count:04d}", number, direction, state, says=self.speech)
        self.calls[call.call_id] = call
        return call

    async def admit(self, request: web.Request, word: str) -> web.Response | None:
        """Give the answer of a request that is refused; None for one that may go on."""
        self.requests.append((request.method, word))
        while self.stalled:
            await asyncio.sleep(0.01)
        if not self.authorised(request):
            return self.failure(401, "unauthorized")
        if word in self.refuse:
            return self.failure(*self.refuse[word])
        return None

    def failure(self, status: int, words: str) -> web.Response:
        raise NotImplementedError

    def dial(self, number: str) -> DoubleCall:
        return self._begin(number, "outbound", "active" if self.answers_at_once else "calling")

    async def media(self, request: web.Request, call_id: str) -> web.StreamResponse:
        if refused := await self.admit(request, "stream"):
            return refused
        call = self.calls.get(call_id)
        if call is None:
            return self.failure(404, "no live call")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        call.sockets.append(socket)
        call.opened += 1
        await self.greet(call, socket)
        speaking = asyncio.create_task(self._speak(call, socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await self._hear(call, socket, message.data)
        finally:
            speaking.cancel()
            call.sockets.remove(socket)
        return socket

    async def greet(self, call: DoubleCall, socket: web.WebSocketResponse) -> None:
        """Say what the dialect says first."""

    async def _hear(self, call: DoubleCall, socket: web.WebSocketResponse, data: bytes) -> None:
        self.check_length(data)
        if call.state != "active":
            return
        call.heard.append(data)
        call.heard_at.append(time.monotonic())
        if call.says is None:
            with suppress(ConnectionError):
                await socket.send_bytes(data)

    async def _speak(self, call: DoubleCall, socket: web.WebSocketResponse) -> None:
        """Say the speech in pieces of 60 ms, silence after it; nothing before the answer."""
        began: float | None = None
        sent = 0
        while call.says is not None:
            if call.state == "active":
                began = began or time.monotonic()
                piece = np.zeros(PIECE, np.int16)
                part = call.says[call.said : call.said + PIECE]
                piece[: len(part)] = part
                call.said += PIECE
                with suppress(ConnectionError):
                    await socket.send_bytes(self.encode(piece))
                sent += 1
            await asyncio.sleep(
                0.01 if began is None else max(0.0, began + 0.06 * sent - time.monotonic())
            )


class ZuckZapGoDouble(EngineDouble):
    """`/call/*` with the header `token`, s16le (guide of 2026, §2, §4, §6)."""

    dialect = "zuckzapgo"

    @override
    def routes(self, application: web.Application) -> None:
        application.router.add_get("/call/status", self._status)
        for word in ("dial", "answer", "hangup"):
            application.router.add_post(f"/call/{word}", self._control)
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
        return _success({"calls": listed})

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

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        return await self.media(request, request.match_info["call_id"])


class WaDialDouble(EngineDouble):
    """`/api/v1/sessions/{id}/calls` with a bearer key, f32le (pages on live calls)."""

    dialect = "wadial"

    def __init__(self) -> None:
        super().__init__()
        self.words = {"outbound": "outgoing", "inbound": "incoming", "calling": "initiating"}

    @override
    def routes(self, application: web.Application) -> None:
        root = "/api/v1/sessions/" + SESSION + "/calls"
        application.router.add_get(root, self._list)
        application.router.add_post(root, self._start)
        application.router.add_post(root + "/{call_id}/{word:accept|end|reject}", self._control)
        application.router.add_get(root + "/{call_id}/media", self._media)

    @override
    def authorised(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    @override
    def encode(self, samples: Any) -> bytes:
        return struct.pack(f"<{len(samples)}f", *(sample / 32768 for sample in samples.tolist()))

    @override
    def decode(self, data: bytes) -> Any:
        floats = np.array(struct.unpack(f"<{len(data) // 4}f", data))
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

    async def tell(self, call: DoubleCall, message: dict[str, Any]) -> None:
        """Send a text message to all sockets of a call."""
        for socket in list(call.sockets):
            with suppress(ConnectionError):
                await socket.send_json(message)

    def snapshot(self, call: DoubleCall) -> dict[str, Any]:
        """Give a call as the REST routes show it."""
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
        return web.json_response({"data": [self.snapshot(call) for call in self.calls.values()]})

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
