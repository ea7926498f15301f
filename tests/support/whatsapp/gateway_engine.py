"""What the doubles of WhatsApp engines share: calls, media, and faults.

An engine has calls of the test's making; the far party says what it is told to, or echoes. It
knows nothing of the bridge's code. Faults are switches: `refuse`, `garbage`, `slow` and `stalled`
spoil answers, `lists` the list of calls, `sizes` and `interludes` media; `drop_sockets` and `cut`
end media, `end(close=False)` lets a call vanish behind an open socket.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from tests.support.virtual_time import monotonic

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
    second_bytes = 32_000

    def __init__(self) -> None:
        self.calls: dict[str, DoubleCall] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        """By the last part of a path: status and words of every such request."""
        self.garbage: dict[str, bytes] = {}
        """By the last part of a path: what every such request is answered, with 200."""
        self.slow = 0.0
        """Seconds that each answer takes."""
        self.lists: Callable[[list[Any]], list[Any]] = list
        """What becomes of the list of calls."""
        self.sizes: list[int] = []
        """How many bytes the messages of what the far party says have, in turn; else 60 ms."""
        self.interludes: list[str | bytes] = []
        """What is sent between these messages, in turn, once each."""
        self.answers_at_once = True
        self.stalled = False
        """Requests are never answered."""
        self.speech: Any = None
        self.messages: list[tuple[str, str]] = []
        """To whom which text was sent along with a rejection."""
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
        await self.stop()

    async def stop(self) -> None:
        """Be down."""
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

    def cut(self, call: DoubleCall) -> None:
        """Cut the media of a call in the middle of a message."""
        for socket in list(call.sockets):
            request = socket._req
            assert request is not None
            transport = request.transport
            assert transport is not None
            # The head of a binary message of 1000 bytes, and a few of them.
            transport.write(b"\x82\x7e\x03\xe8" + bytes(100))
            transport.abort()

    def seconds_heard(self, call: DoubleCall) -> float:
        """How much the far party heard."""
        return sum(map(len, call.heard)) / self.second_bytes

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
        """Return the answer of a request that is refused; None for one that may go on."""
        self.requests.append((request.method, word))
        while self.stalled:
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.slow)
        if not self.authorised(request):
            return self.failure(401, "unauthorized")
        if word in self.garbage:
            return web.Response(body=self.garbage[word], content_type="application/json")
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
        call.heard_at.append(monotonic())
        if call.says is None:
            with suppress(ConnectionError):
                await socket.send_bytes(data)

    async def _speak(self, call: DoubleCall, socket: web.WebSocketResponse) -> None:
        """Say the speech in pieces of 60 ms, silence after it; nothing before the answer."""
        began: float | None = None
        sent = 0
        while call.says is not None:
            if call.state == "active":
                began = began or monotonic()
                piece = np.zeros(PIECE, np.int16)
                part = call.says[call.said : call.said + PIECE]
                piece[: len(part)] = part
                call.said += PIECE
                with suppress(ConnectionError):
                    await self._send(socket, self.encode(piece))
                sent += 1
            await asyncio.sleep(
                0.01 if began is None else max(0.0, began + 0.06 * sent - monotonic())
            )

    async def _send(self, socket: web.WebSocketResponse, sound: bytes) -> None:
        """Send the sound of a piece, in messages as `sizes` and `interludes` want them."""
        if self.interludes:
            other = self.interludes.pop(0)
            await (socket.send_str(other) if isinstance(other, str) else socket.send_bytes(other))
        while sound:
            size = self.sizes[0] if self.sizes else len(sound)
            self.sizes = self.sizes[1:] + self.sizes[:1]
            await socket.send_bytes(sound[:size])
            sound = sound[size:]
