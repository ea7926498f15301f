"""The connection of a stream: dialling, writing without piling up, listening, saying goodbye."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import aiohttp
from aiohttp import WSMsgType

from bridge.call.model import EndReason
from bridge.errors import AddressBlocked, BridgeError
from bridge.net.http import LineHttp
from bridge.net.websocket import has_room, narrow, transport_of
from bridge.wire.media_stream import Channel, StreamFacts, StreamWriter

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 2.6
"""From the dialling to the end of the WebSocket's handshake, of one attempt."""
PAUSES: Final = (0.5, 1.5)
"""Between two attempts; with all of them a customer who is not there is told of within 10 s."""
FAREWELL_SECONDS: Final = 0.8
MESSAGE_SECONDS: Final = 62.0
"""Sound in one message from the customer, at most; a longer message ends the stream."""
KERNEL_SECONDS: Final = 0.2
"""Sound of one track that the kernel is to hold; it takes twice of what it is told."""
ENVELOPE_BYTES: Final = 400
"""What a `media` message has beside its payload, at most."""

PING_SECONDS: Final = 0.24
"""After so much sound of a track a ping tells how far the customer has read."""
WINDOW_SECONDS: Final = 1.2
"""Sound that may be under way to the customer, in all kernels and buffers on the road.

His pongs alone tell: one who answers no pings, against RFC 6455 section 5.5.2, gets so much and no
more.
"""

BASE64: Final = 4 / 3
"""Characters of a byte."""

GONE: Final = (OSError, aiohttp.ClientError)
"""What sending to somebody who has gone raises."""


BLOCKED: Final = "blocked"
"""The word for an address that may not be reached."""


class OverError(Exception):
    """The stream is over; `word` says why to the customer, `reason` to the call."""

    def __init__(self, word: str, reason: EndReason) -> None:
        super().__init__(word)
        self.word = word
        self.reason = reason


class StreamLink:
    """One connected stream; nobody is sent more than he reads."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, facts: StreamFacts) -> None:
        self._ws = ws
        self._writer = StreamWriter(facts)
        self._tracks = len(facts.tracks)
        self._length = facts.media.frame_milliseconds
        self._sent = 0
        """Milliseconds of sound, of all tracks."""
        self._pinged = 0
        self._read = 0
        """Of those, how many the customer has read for certain."""

    @property
    def has_room(self) -> bool:
        """Whether a frame sent now would not have to wait long."""
        window = WINDOW_SECONDS * 1000 * self._tracks
        return self._sent + self._length - self._read <= window and has_room(self._ws)

    async def greet(self) -> None:
        """Say what the stream is."""
        await self._write(self._writer.connected(_now()))
        await self._write(self._writer.start(_now()))

    async def media(self, data: bytes, *, track: Channel, timestamp: int) -> None:
        """Send a frame of a track."""
        await self._write(self._writer.media(data, _now(), track=track, timestamp=timestamp))
        self._sent += self._length
        if self._sent - self._pinged >= PING_SECONDS * 1000 * self._tracks:
            self._pinged = self._sent
            await self._ws.ping(self._sent.to_bytes(8))

    async def mark(self, name: str) -> None:
        """Send a mark back."""
        await self._write(self._writer.mark(name, _now()))

    async def listen(self, take: Callable[[str | bytes], Awaitable[None]]) -> None:
        """Give every message to `take`, a binary one as bytes, until the customer has enough.

        Raises:
            OverError: always.
        """
        while True:
            message = await self._ws.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    await take(message.data)
                case WSMsgType.PING:
                    await self._ws.pong(message.data)
                case WSMsgType.PONG:
                    self._confirm(message.data)
                case _:
                    raise OverError("closed", EndReason.REMOTE_HANGUP)

    def _confirm(self, payload: bytes) -> None:
        read = int.from_bytes(payload)
        if len(payload) == 8 and self._read <= read <= self._sent:
            self._read = read

    async def part(self) -> None:
        """Say that the stream stops and close; what does not leave in time is thrown away."""
        with suppress(*GONE, TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                if not self._ws.closed and has_room(self._ws):
                    await self._write(self._writer.stop(_now()))
                    await self._ws.close()
        if (transport := transport_of(self._ws)) is not None:
            transport.abort()
        with suppress(*GONE):
            await self._ws.close()

    async def _write(self, message: bytes) -> None:
        await self._ws.send_frame(message, WSMsgType.TEXT)


async def connect(http: LineHttp, url: str, facts: StreamFacts) -> StreamLink:
    """Dial a customer's WebSocket, again after each of `PAUSES` if need be; nothing is said yet.

    Raises:
        OverError: it cannot be reached, or may not be.
    """
    for attempt, pause in enumerate(PAUSES, 1):
        try:
            return await _dial(http, url, facts)
        except OverError as over:
            if over.word == BLOCKED:
                raise
            log.debug("stream.retry", extra={"attempt": attempt, "pause": pause})
        await asyncio.sleep(pause)
    return await _dial(http, url, facts)


async def _dial(http: LineHttp, url: str, facts: StreamFacts) -> StreamLink:
    log.debug("stream.dialled", extra={"stream": facts.stream_id})
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            ws = await http.streams().ws_connect(
                url,
                max_msg_size=round(MESSAGE_SECONDS * facts.media.second_bytes * BASE64),
                autoping=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=FAREWELL_SECONDS),
            )
    except AddressBlocked as error:
        raise OverError(BLOCKED, EndReason.UNREACHABLE) from error
    except (*GONE, TimeoutError, ValueError, BridgeError) as error:
        log.info("stream.unreachable", extra={"error": type(error).__name__})
        raise OverError("unreachable", EndReason.UNREACHABLE) from error
    log.debug("stream.connected", extra={"stream": facts.stream_id})
    envelopes = ENVELOPE_BYTES * 1000 / facts.media.frame_milliseconds
    second = facts.media.second_bytes * BASE64 + envelopes
    narrow(ws, round(KERNEL_SECONDS * len(facts.tracks) * second))
    return StreamLink(ws, facts)


def why(error: BaseException) -> OverError:
    """Say why a stream is over; what is no way for it to end is raised again."""
    if isinstance(error, OverError):
        return error
    if isinstance(error, GONE):
        return OverError("closed", EndReason.REMOTE_HANGUP)
    raise error


def _now() -> datetime:
    return datetime.now(UTC)
