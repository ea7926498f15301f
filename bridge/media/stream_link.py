"""The WebSocket of a stream: connecting with retries, sending, receiving, closing."""

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import aiohttp
from aiohttp import WebSocketError, WSCloseCode, WSMsgType

from bridge.call.model import EndReason
from bridge.errors import AddressBlocked, BridgeError
from bridge.http.client import Session
from bridge.media.read_budget import FLOOD_SECONDS, ReadBudget
from bridge.telemetry.trace import UNTRACED, Trace
from bridge.wire.stream.media_format import IN_PYTHON, Conversion
from bridge.wire.stream.media_stream import (
    Channel,
    Digit,
    Mark,
    Reply,
    StreamEndReason,
    StreamFacts,
    StreamMessages,
)
from bridge.wire.stream.media_template import WriteFrame
from bridge.wire.websocket_frame import MASK_BYTES, PING, TEXT, client_frame

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 2.6
"""Timeout of one attempt, WebSocket handshake included."""
RETRY_DELAYS: Final = (0.5, 1.5)
"""Delays between attempts; an unreachable server is reported within 10 s."""
CLOSE_SECONDS: Final = 0.8
MESSAGE_SECONDS: Final = 62.0
"""Maximum audio of one message from the customer; a longer one ends the stream."""
KERNEL_SECONDS: Final = 0.2
"""Audio of one track in the kernel's send buffer; Linux doubles the value."""
ENVELOPE_BYTES: Final = 400
"""Maximum size of a `media` message without its payload."""
FRAME_BYTES: Final = 64
"""What a message takes beside its payload: header, TLS record."""
CHECK_SECONDS: Final = 0.2
"""How often a stream is to be looked at; to ask the kernel for what it has received takes as long as a message."""
MAX_PARTIAL_BYTES: Final = 8 << 20
"""Received bytes that belong to no message yet, beside the largest message: what the kernel buffers."""
FRAGMENTS: Final = "the server sent fragments without end"
FLOODED: Final = f"the server sent more than the bridge reads for {FLOOD_SECONDS:g} s"

BASE64: Final = 4 / 3
"""Characters per byte."""

_TCP_INFO_BYTES: Final = 136
_BYTES_RECEIVED: Final = slice(128, 136)
"""Of Linux's struct tcp_info: tcpi_bytes_received."""

MOVED: Final = b"moved"
"""Reason of the close frame where another process goes on; its code is 1012, service restart."""
NO_CODE: Final = 0
"""What aiohttp reports for a close frame without a code, which is allowed (RFC 6455 section 5.5.1)."""
GONE: Final = (OSError, aiohttp.ClientError)
"""Raised by sending to a closed connection."""


class StreamEnded(Exception):
    """Raised when the stream ends; `word` is the reason in events, `reason` that of the leg."""

    def __init__(
        self, word: StreamEndReason, reason: EndReason, text: str = "", *, status: int = 0
    ) -> None:
        """`text` describes to the customer what happened, where the word alone does not; `status` is that of a refused handshake."""
        super().__init__(word)
        self.status = status
        self.word = word
        self.reason = reason
        self.text = text

    def describe(self) -> dict[str, object]:
        """Return what `stream.ended` says of it."""
        refused = {"status": self.status} if self.status else {}
        return {"reason": self.word.value, "error": self.text, **refused}


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Where a stream goes."""

    url: str
    session: Callable[[], Session]
    """Opens connections: guarded, unless the URL is the operator's."""
    headers: Callable[[datetime], Mapping[str, str]] = field(default=lambda _: {}, repr=False)
    """Makes the headers of a handshake, which may contain the time and secrets."""
    trace: Trace = UNTRACED
    """The trace of the call; each handshake is a span of it, and its context is sent to the server."""


class StreamLink:
    """One connected stream."""

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        messages: StreamMessages,
        frames: Mapping[Channel, WriteFrame],
        *,
        max_bytes: int,
    ) -> None:
        """`frames` writes the audio of each track; `max_bytes` is the limit of a message that `ws` was opened with."""
        self._ws = ws
        self._transport = transport_of(ws)
        self._messages = messages
        self._frames = frames
        self._max_partial = max_bytes + MAX_PARTIAL_BYTES
        self._read_bytes = 0
        self._clock = asyncio.get_running_loop().time
        self._budget = ReadBudget(self._clock())

    @property
    def has_room(self) -> bool:
        """Whether the kernel has taken all that was sent."""
        return self._transport is None or not self._transport.get_write_buffer_size()

    def check_partial(self) -> None:
        """Check that what is received becomes messages; to be called every `CHECK_SECONDS`.

        Endless fragments (RFC 6455 section 5.4) would take the event loop, and no message is ever read.

        Raises:
            StreamEnded: it does not.
        """
        if bytes_received(self._ws) - self._read_bytes > self._max_partial:
            raise StreamEnded(StreamEndReason.FLOOD, EndReason.FAILED, FRAGMENTS)

    def greet(self) -> None:
        """Send what the protocol begins with; raises as `media`."""
        for message in self._messages.opening(_now()):
            self._write(TEXT, message)

    def media(self, data: bytes, *, track: Channel, timestamp: int) -> None:
        """Send a frame of a track.

        Raises:
            ConnectionResetError: the connection is closing, or gone.
        """
        transport = self._transport
        if transport is None or transport.is_closing() or self._ws.closed:
            raise _closing()
        sequence, chunk = self._messages.count_media(track)
        unix_ms = time.time_ns() // 1_000_000
        write = self._frames[track]
        transport.write(write(data, os.urandom(MASK_BYTES), unix_ms, sequence, chunk, timestamp))

    def ping(self, payload: bytes) -> None:
        """Send a ping, as `media`; `listen` passes the pong on."""
        self._write(PING, payload)

    def say(self, what: Mark | Digit | Reply) -> None:
        """Send something beside audio, as `media`; what the protocol has no message for is left out."""
        if isinstance(what, Reply):
            self._write(TEXT, what.message)
        elif (message := self._messages.say(what, _now())) is not None:
            self._write(TEXT, message)

    async def listen(
        self,
        take: Callable[[str | bytes], Awaitable[None]],
        confirm: Callable[[bytes], None],
    ) -> None:
        """Pass every message to `take`, and pongs to `confirm`, until the connection ends.

        A server that exceeds `ReadBudget` is throttled; one that keeps exceeding it is disconnected.

        Raises:
            StreamEnded: Always.
        """
        while True:
            message = await self._ws.receive()
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    await take(message.data)
                case WSMsgType.PING:
                    await self._ws.pong(message.data)
                case WSMsgType.PONG:
                    confirm(message.data)
                case WSMsgType.CLOSE:
                    raise _closed(message.data)
                case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                    raise _broken(message.data)
                case _:
                    raise _broken_off()
            self._read_bytes += 2 * len(message.data) + FRAME_BYTES
            if (pause := self._budget.spend(len(message.data), self._clock())) is not None:
                await asyncio.sleep(pause)
                if self._budget.is_flood(self._clock()):
                    raise StreamEnded(StreamEndReason.FLOOD, EndReason.FAILED, FLOODED)

    async def close(self, *, moved: bool = False) -> None:
        """Send what the protocol ends with, and close; unsent data is dropped after `CLOSE_SECONDS`.

        A stream that has `moved` has not ended: another process connects to its server.
        """
        with suppress(*GONE, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if not self._ws.closed and has_room(self._ws):
                    for message in () if moved else self._messages.closing(_now()):
                        self._write(TEXT, message)
                    # Reads on until the server closes, without a pause.
                    if moved:
                        await self._ws.close(code=WSCloseCode.SERVICE_RESTART, message=MOVED)
                    elif not self._budget.is_short:
                        await self._ws.close()
        if (transport := transport_of(self._ws)) is not None:
            transport.abort()
        with suppress(*GONE):
            await self._ws.close()

    def _write(self, opcode: int, payload: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._ws.closed:
            raise _closing()
        transport.write(client_frame(opcode, payload, os.urandom(MASK_BYTES)))


async def connect(
    target: StreamTarget,
    facts: StreamFacts,
    messages: StreamMessages,
    conversion: Conversion = IN_PYTHON,
) -> StreamLink:
    """Connect to a customer's WebSocket, with retries after `RETRY_DELAYS`.

    Raises:
        StreamEnded: It is unreachable or forbidden.
    """
    for attempt, pause in enumerate(RETRY_DELAYS, 1):
        try:
            return await _dial(target, facts, messages, conversion)
        except StreamEnded as over:
            if over.word is StreamEndReason.BLOCKED:
                raise
            log.debug("stream.retry", extra={"attempt": attempt, "pause": pause})
        await asyncio.sleep(pause)
    return await _dial(target, facts, messages, conversion)


async def _dial(
    target: StreamTarget, facts: StreamFacts, messages: StreamMessages, conversion: Conversion
) -> StreamLink:
    log.debug("stream.dialled", extra={"stream": facts.stream_id})
    max_bytes = round(MESSAGE_SECONDS * facts.media.second_bytes * BASE64)
    try:
        with target.trace.request(
            "GET stream",
            {"bridge.stream.protocol": facts.protocol.value},
            method="GET",
            url=target.url,
            leg_id=facts.stream_id,
        ) as span:
            async with asyncio.timeout(CONNECT_SECONDS):
                ws = await target.session().ws_connect(
                    target.url,
                    headers={**target.headers(_now()), **span.headers},
                    max_msg_size=max_bytes,
                    autoping=False,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
            span.answered(101)
    except AddressBlocked as error:
        raise StreamEnded(StreamEndReason.BLOCKED, EndReason.UNREACHABLE, str(error)) from error
    except (*GONE, TimeoutError, ValueError, BridgeError) as error:
        extra = {"error": type(error).__name__, "status": getattr(error, "status", "")}
        log.info("stream.unreachable", extra=extra)
        text = _refusal(error)
        status = error.status if isinstance(error, aiohttp.ClientResponseError) else 0
        raise StreamEnded(
            StreamEndReason.UNREACHABLE, EndReason.UNREACHABLE, text, status=status
        ) from error
    log.debug("stream.connected", extra={"stream": facts.stream_id})
    envelopes = ENVELOPE_BYTES * 1000 / facts.media.frame_milliseconds
    second = facts.media.second_bytes * BASE64 + envelopes
    narrow(ws, round(KERNEL_SECONDS * len(facts.tracks) * second))
    frames = {track: conversion.frames(messages.media(track)) for track in facts.tracks}
    return StreamLink(ws, messages, frames, max_bytes=max_bytes)


def stream_end(error: BaseException) -> StreamEnded:
    """Map an exception to the end of a stream; unexpected ones are raised again."""
    if isinstance(error, StreamEnded):
        return error
    if isinstance(error, GONE):
        return _broken_off()
    raise error


def _refusal(error: BaseException) -> str:
    """Say why a handshake failed."""
    match error:
        case aiohttp.WSServerHandshakeError(status=101):
            return f"the handshake is wrong: {error.message}"
        case aiohttp.ClientResponseError():
            return f"the server answered {error.status} to the handshake, not 101"
        case TimeoutError():
            return f"there was no answer to the handshake within {CONNECT_SECONDS:g} s"
        case aiohttp.ClientSSLError():
            return "the TLS handshake failed; check the certificate"
        case aiohttp.ClientConnectorDNSError():
            return "the host's name has no address; check how it is spelt"
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError()):
            return "the server broke the connection off; check whether it expects ws or wss"
        case aiohttp.ClientConnectorError():
            return "there was no connection; check the host, the port and that the server runs"
        case BridgeError():
            return str(error)
    return f"the handshake failed ({type(error).__name__})"


def _closing() -> ConnectionResetError:
    return ConnectionResetError("the connection is closing")


def _closed(code: int) -> StreamEnded:
    if code in (WSCloseCode.OK, NO_CODE):
        return StreamEnded(StreamEndReason.CLOSED, EndReason.REMOTE_HANGUP)
    text = f"the server closed with code {code}"
    return StreamEnded(StreamEndReason.SERVER_ERROR, EndReason.REMOTE_HANGUP, text)


def _broken(error: WebSocketError) -> StreamEnded:
    large = error.code == WSCloseCode.MESSAGE_TOO_BIG
    word = StreamEndReason.TOO_LARGE if large else StreamEndReason.PROTOCOL_ERROR
    return StreamEnded(word, EndReason.FAILED, str(error))


def _broken_off() -> StreamEnded:
    text = "the connection broke off without a close frame"
    return StreamEnded(StreamEndReason.FAILED, EndReason.FAILED, text)


def transport_of(ws: aiohttp.ClientWebSocketResponse) -> asyncio.Transport | None:
    """Return the transport of a WebSocket; None once closed. aiohttp exposes it to servers only."""
    return ws._writer.transport


def narrow(ws: aiohttp.ClientWebSocketResponse, size: int) -> None:
    """Limit the kernel's send buffer to about `size` bytes, and let the process buffer only what that refuses."""
    if (transport := transport_of(ws)) is not None:
        transport.set_write_buffer_limits(high=0)
    carrier = ws.get_extra_info("socket")
    if carrier is not None:
        # Linux doubles the value, for its own overhead.
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def has_room(ws: aiohttp.ClientWebSocketResponse) -> bool:
    """Return whether the kernel has taken all that was sent."""
    transport = transport_of(ws)
    return transport is None or not transport.get_write_buffer_size()


def bytes_received(ws: aiohttp.ClientWebSocketResponse) -> int:
    """Return how many bytes the connection has received, as the kernel counts them; 0 where it does not."""
    carrier = ws.get_extra_info("socket")
    if carrier is None:
        return 0
    try:
        info: bytes = carrier.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return 0
    return int.from_bytes(info[_BYTES_RECEIVED], sys.byteorder)


def _now() -> datetime:
    return datetime.now(UTC)
