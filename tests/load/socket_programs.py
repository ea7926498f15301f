"""Programs at media sockets, each as one vendor's document has it, for the load generator."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import aiohttp
import numpy as np
from aiohttp import web

from tests.load.callers import KEY
from tests.load.servers import free_port
from tests.support.opus_packets import RATE
from tests.support.speech_compare import Pcm

_WAIT_SECONDS = 10.0
_STREAM_RATE = 24_000


class WebSocket(Protocol):
    """What both ends of aiohttp's WebSockets have."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        ...

    async def send_str(self, data: str) -> None:
        """Send a text."""
        ...

    async def receive(self) -> aiohttp.WSMessage:
        """Return the next message."""
        ...

    async def close(self) -> bool:
        """Close with 1000."""
        ...


Message: TypeAlias = bytes | str


@dataclass(slots=True)
class Listener:
    """Where the bridge dials, for the programs that wait to be dialled."""

    url: str = ""
    arrived: asyncio.Queue[web.WebSocketResponse] = field(default_factory=asyncio.Queue)


@asynccontextmanager
async def _nobody() -> AsyncIterator[Listener]:
    yield Listener()


@asynccontextmanager
async def _customers() -> AsyncIterator[Listener]:
    port = free_port()
    listener = Listener(f"ws://127.0.0.1:{port}/")

    async def accept(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        listener.arrived.put_nowait(ws)
        while not ws.closed:
            await asyncio.sleep(0.2)
        return ws

    application = web.Application()
    application.router.add_get("/", accept)
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield listener
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Kind:
    """One vendor's socket."""

    title: str
    message_seconds: float
    sample_rate: int
    path: str
    """Of the socket; empty where the bridge dials."""
    listening: Callable[[], AbstractAsyncContextManager[Listener]]

    def write(self, sound: Pcm) -> Message:
        """Write a message of 16 kHz sound."""
        if self.path.endswith("/media"):
            return (sound.astype("<f4") / 32768).tobytes()
        if self.path:
            return sound.astype("<i2").tobytes()
        places = np.arange(len(sound) * _STREAM_RATE // RATE) * (RATE / _STREAM_RATE)
        faster = np.interp(places, np.arange(len(sound)), sound.astype(float)).astype("<i2")
        payload = base64.b64encode(faster.tobytes()).decode()
        return json.dumps({"event": "media", "media": {"payload": payload}})

    def read(self, message: Message) -> Pcm:
        """Return the sound of a message, at the kind's own rate."""
        if isinstance(message, str):
            tree: dict[str, Any] = json.loads(message)
            sound = base64.b64decode(tree["media"]["payload"])
            return np.frombuffer(sound, "<i2").astype(np.int16)
        if self.path.endswith("/media"):
            floats = np.frombuffer(message, "<f4") * 32767
            samples: Pcm = np.rint(floats).astype(np.int16)
            return samples
        return np.frombuffer(message, "<i2").astype(np.int16)


PROGRAMS: Mapping[str, Kind] = {
    "zuckzapgo": Kind("s16le 16 kHz, 60 ms", 0.06, RATE, "/call/{}/stream", _nobody),
    "wadial": Kind(
        "f32le 16 kHz, 20 ms", 0.02, RATE, "/api/v1/sessions/demo/calls/{}/media", _nobody
    ),
    "wavix": Kind("dialled out, JSON, s16le 24 kHz, 20 ms", 0.02, _STREAM_RATE, "", _customers),
}


class Program:
    """One program at one socket: what it heard is in `heard`, as it came."""

    def __init__(self, kind: Kind, ws: WebSocket) -> None:
        self.kind = kind
        self.heard: list[tuple[float, Message]] = []
        """When each message with sound came (monotonic seconds), and the message."""
        self._ws = ws

    async def listen(self) -> None:
        """Take what comes until the socket is closed."""
        texts = not self.kind.path
        wanted = aiohttp.WSMsgType.TEXT if texts else aiohttp.WSMsgType.BINARY
        ends = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
        while (message := await self._ws.receive()).type not in ends:
            now = time.monotonic()
            if message.type is wanted and (not texts or '"media"' in message.data[:400]):
                self.heard.append((now, message.data))

    async def send(self, message: Message) -> None:
        """Send what `write` made."""
        if isinstance(message, bytes):
            await self._ws.send_bytes(message)
        else:
            await self._ws.send_str(message)

    async def close(self) -> None:
        """Close the socket."""
        await self._ws.close()


async def open_program(
    kind: str, session: aiohttp.ClientSession, url: str, call_id: str, listener: Listener
) -> Program:
    """Open a call's socket as the vendor's document has it.

    Raises:
        TimeoutError: the bridge did not dial.
    """
    chosen = PROGRAMS[kind]
    async with asyncio.timeout(_WAIT_SECONDS):
        if chosen.path:
            path = f"{url}{chosen.path.format(call_id)}?token={KEY}"
            return Program(chosen, await session.ws_connect(path, compress=0, max_msg_size=0))
        await _order_stream(session, url, call_id, listener)
        return Program(chosen, await listener.arrived.get())


async def _order_stream(
    session: aiohttp.ClientSession, url: str, call_id: str, listener: Listener
) -> None:
    body = {"stream_url": listener.url, "stream_type": "twoway", "stream_channel": "inbound"}
    path = f"{url}/v1/call/{call_id}/streams?appid={KEY}"
    while True:
        async with session.post(path, json=body) as reply:
            if reply.status == 200:
                return
            if reply.status != 409:  # it still rings
                raise ConnectionError(f"{reply.status} {await reply.text()}")
        await asyncio.sleep(0.02)
