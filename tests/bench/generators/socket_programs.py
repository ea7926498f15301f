"""Programs at media sockets, each as one vendor's document has it, for the load generator."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import aiohttp
import numpy as np
from aiohttp import web

from bridge.wire.stream.media_format import Encoding, decode_samples, encode_samples
from tests.bench.generators.callers import KEY
from tests.support.machine import free_port
from tests.support.packets.opus_packets import RATE
from tests.support.sound.speech_compare import Pcm

_WAIT_SECONDS = 10.0
WAVIX_RATE, TWILIO_RATE = 24_000, 8_000


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One vendor's socket."""

    title: str
    message_seconds: float
    sample_rate: int
    write: Callable[[Pcm], Message]
    """Writes a message of 16 kHz sound."""
    read: Callable[[Message], Pcm]
    """Returns the sound of a message, at the kind's own rate."""
    path: str = ""
    """Of the socket; empty where the bridge dials."""
    protocol: str = ""
    """Of the stream that is ordered where the bridge dials."""
    sign: str = '"media"'
    """What a text with sound has near its beginning."""

    @property
    def listening(self) -> Callable[[], AbstractAsyncContextManager[Listener]]:
        """What the bridge dials, if it does."""
        return _nobody if self.path else _customers


def _write_s16(sound: Pcm) -> bytes:
    return sound.astype("<i2").tobytes()


def _read_s16(message: Message) -> Pcm:
    assert isinstance(message, bytes)
    return np.frombuffer(message, "<i2").astype(np.int16)


def _write_float(sound: Pcm) -> bytes:
    return (sound.astype("<f4") / 32768).tobytes()


def _read_float(message: Message) -> Pcm:
    assert isinstance(message, bytes)
    samples: Pcm = np.rint(np.frombuffer(message, "<f4") * 32767).astype(np.int16)
    return samples


def _write_wavix(sound: Pcm) -> str:
    return _media(_at_rate(sound, WAVIX_RATE))


def _read_wavix(message: Message) -> Pcm:
    return _read_s16(_payload(message))


def _write_openai(sound: Pcm) -> str:
    delta = base64.b64encode(_at_rate(sound, WAVIX_RATE)).decode()
    kind = "response.output_audio.delta"
    ids = {"response_id": "resp_1", "item_id": "item_1", "content_index": 0}
    return json.dumps({"type": kind, **ids, "delta": delta})


def _read_openai(message: Message) -> Pcm:
    tree: dict[str, Any] = json.loads(message)
    return _read_s16(base64.b64decode(tree.get("audio") or tree["delta"]))


def _write_twilio(sound: Pcm) -> str:
    return _media(encode_samples(Encoding.MULAW, _at_rate(sound, TWILIO_RATE)))


def _read_twilio(message: Message) -> Pcm:
    return _read_s16(decode_samples(Encoding.MULAW, _payload(message)))


def _at_rate(sound: Pcm, rate: int) -> bytes:
    places = np.arange(len(sound) * rate // RATE) * (RATE / rate)
    resampled: Pcm = np.interp(places, np.arange(len(sound)), sound.astype(float)).astype("<i2")
    return resampled.tobytes()


def _media(content: bytes) -> str:
    payload = base64.b64encode(content).decode()
    return json.dumps({"event": "media", "media": {"payload": payload}})


def _payload(message: Message) -> bytes:
    tree: dict[str, Any] = json.loads(message)
    return base64.b64decode(tree["media"]["payload"])


PROGRAMS: Mapping[str, Kind] = {
    "zuckzapgo": Kind(
        title="s16le 16 kHz, 60 ms",
        message_seconds=0.06,
        sample_rate=RATE,
        write=_write_s16,
        read=_read_s16,
        path="/call/{}/stream",
    ),
    "wadial": Kind(
        title="f32le 16 kHz, 20 ms",
        message_seconds=0.02,
        sample_rate=RATE,
        write=_write_float,
        read=_read_float,
        path="/api/v1/sessions/demo/calls/{}/media",
    ),
    "wavix": Kind(
        title="dialled out, JSON, s16le 24 kHz, 20 ms",
        message_seconds=0.02,
        sample_rate=WAVIX_RATE,
        write=_write_wavix,
        read=_read_wavix,
        protocol="native",
    ),
    "twilio": Kind(
        title="dialled out, Twilio's JSON, mulaw 8 kHz, 20 ms",
        message_seconds=0.02,
        sample_rate=TWILIO_RATE,
        write=_write_twilio,
        read=_read_twilio,
        protocol="twilio",
    ),
    "openai": Kind(
        title="dialled out, OpenAI's realtime JSON, s16le 24 kHz, 20 ms",
        message_seconds=0.02,
        sample_rate=WAVIX_RATE,
        write=_write_openai,
        read=_read_openai,
        protocol="openai-realtime",
        sign='"input_audio_buffer.append"',
    ),
}
SOCKETS: Final = ("zuckzapgo", "wadial", "wavix")
STREAMS: Final = ("twilio", "openai")
"""Which of them each section of the bench measures."""


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
            if message.type is wanted and (not texts or self.kind.sign in message.data[:400]):
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
        await _order_stream(session, url, call_id, listener, chosen.protocol)
        return Program(chosen, await listener.arrived.get())


async def _order_stream(
    session: aiohttp.ClientSession, url: str, call_id: str, listener: Listener, protocol: str
) -> None:
    body = {
        "stream_url": listener.url,
        "stream_type": "twoway",
        "stream_channel": "inbound",
        "stream_protocol": protocol,
    }
    path = f"{url}/v1/call/{call_id}/streams?appid={KEY}"
    while True:
        async with session.post(path, json=body) as reply:
            if reply.status == 200:
                return
            if reply.status != 409:  # it still rings
                raise ConnectionError(f"{reply.status} {await reply.text()}")
        await asyncio.sleep(0.02)
