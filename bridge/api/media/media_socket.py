"""The PCM socket: a call's audio over a WebSocket."""

import asyncio
import socket
from contextlib import suppress
from typing import Annotated, Final, Literal, TypeAlias

from aiohttp import WSCloseCode, WSMsgType, web
from msgspec import Meta, Struct

from bridge.api.media.streams import Machine
from bridge.api.media.webrtc import NEAR
from bridge.api.server.fields import field
from bridge.api.server.operation import QUERY_TICKET, Context, Group, Schema
from bridge.api.server.services import CONTROL, LINES, MEDIA, RECORDS
from bridge.call.model import LegKind
from bridge.errors import BridgeError, CallEnded, CallMoving, CallNotFound, InvalidRequest
from bridge.legs.socket import KERNEL_SECONDS, SocketAudio, SocketLeg, TextMessages
from bridge.media.stream_link import MOVED
from bridge.node.runner import CallRunner
from bridge.wire.stream.media_format import (
    MAX_FRAME_MS,
    MIN_FRAME_MS,
    ZUCKZAPGO,
    Encoding,
    MediaFormat,
)
from bridge.wire.websocket_frame import BINARY, PING, TEXT, server_frame

MESSAGE_BYTES: Final = 12 * 1024 * 1024
"""One message holds a minute in the largest format."""
CLOSE_SECONDS: Final = 0.5
"""How long to wait for the answer to our close frame."""
MIN_KERNEL_BYTES: Final = 4096
MIN_BUFFER_MS: Final = 40
MAX_BUFFER_MS: Final = 60_000
MAX_NAME: Final = 64


SOCKET: Final[Schema] = {
    "type": "string",
    "description": "no body: the connection becomes a WebSocket",
}
GROUP: Final = Group(name="ZuckZapGo", auth=QUERY_TICKET)


StreamUrl: TypeAlias = Annotated[
    str,
    Meta(
        description="the call's media socket on the machine that has the call, where clients reach that itself "
        "(`cluster.public_url`); every other machine passes it on",
        extra_json_schema={"format": "uri"},
    ),
]


class AudioFormat(Struct, rename="camel"):
    """How the audio is sent; the operation's own format by default."""

    encoding: Encoding | None = None
    sample_rate: Literal[8000, 16000, 24000, 48000] | None = None
    frame_ms: Annotated[int, Meta(ge=MIN_FRAME_MS, le=MAX_FRAME_MS)] | None = None
    buffer_ms: Annotated[
        int,
        field(
            "how much received audio may wait to be played",
            ge=MIN_BUFFER_MS,
            le=MAX_BUFFER_MS,
        ),
    ] = MAX_BUFFER_MS
    machine: Machine = False

    def media(self, default: MediaFormat) -> MediaFormat:
        """Return the format, completed from a default."""
        return MediaFormat(
            self.encoding or default.encoding,
            self.sample_rate or default.sample_rate,
            self.frame_ms or default.frame_milliseconds,
        )


class PcmSocket(AudioFormat):
    """How the audio is sent, and whether the client connects again at an upgrade."""

    resume: Annotated[
        str,
        field(
            "any name of yours: the client opens the same URL again when the bridge closes with 1012",
            max_length=MAX_NAME,
        ),
    ] = ""


@GROUP.get("/call/{callId}/stream", status=101, gives=SOCKET, errors=(404, 409, 502))
async def stream(context: Context, query: PcmSocket) -> web.StreamResponse:
    """Open the PCM socket: a call's audio over a WebSocket, s16le at 16 kHz by default.

    Text is ignored; messages of audio may have any length.
    """
    return await serve(context, live_call(context), query, ZUCKZAPGO, name=query.resume)


def live_call(context: Context) -> CallRunner:
    """Return the live call that the path names.

    Raises:
        Forbidden: the ticket is for another call or party; a socket is a near party.
        LineDisabled: the line makes no calls now.
        CallNotFound: the line never had such a call, or it has ended.
    """
    line = context.access.line_for(context.call_id)
    context.access.party(NEAR)
    context[LINES].lines.check_on(line)
    try:
        return context[CONTROL].manager.live(line, context.call_id)
    except CallEnded as error:
        raise CallNotFound("the call has ended") from error


async def serve(
    context: Context,
    runner: CallRunner,
    query: AudioFormat,
    default: MediaFormat,
    *,
    texts: TextMessages | None = None,
    name: str = "",
) -> web.StreamResponse:
    """Make the connection a leg of the call until either ends; a default completes its format.

    With `texts` there is JSON text beside the audio; a client with a `name` connects again when it is asked to.

    Raises:
        InvalidRequest: the request is no WebSocket upgrade.
        LimitExceeded: the call is at its limit of sockets.
    """
    request, media, ticket = context.http, query.media(default), context.access.ticket
    ws = web.WebSocketResponse(
        timeout=CLOSE_SECONDS,
        autoping=False,
        compress=False,
        max_msg_size=MESSAGE_BYTES,
        writer_limit=0,
    )
    if not ws.can_prepare(request).ok:
        raise InvalidRequest("this is a WebSocket: send an upgrade")
    runner.machine.legs.check_kind(LegKind.SOCKET)
    await ws.prepare(request)
    _bound_buffers(request, media)
    wire = _ServerWire(request, ws)
    sockets = context[MEDIA].sockets
    audio = SocketAudio(media, query.buffer_ms / 1000, sockets.conversion)
    try:
        leg = sockets.join(
            runner,
            wire,
            audio=audio,
            owner=context.access.owner,
            texts=texts,
            name=name,
            machine=query.machine or (ticket is not None and ticket.machine),
        )
    except CallMoving:
        await ws.close(code=WSCloseCode.SERVICE_RESTART, message=MOVED)
        return ws
    except BridgeError:
        # After the upgrade the call ended or reached its limit of legs.
        await ws.close()
        return ws
    if texts is not None:
        context[RECORDS].recordings.automatic.capture(runner)
    await wire.read(leg)
    return ws


def _bound_buffers(request: web.Request, media: MediaFormat) -> None:
    """Buffer little of what is sent in the kernel, and nothing in the process."""
    if request.transport is None:
        return
    request.transport.set_write_buffer_limits(high=0)
    carrier = request.transport.get_extra_info("socket")
    if carrier is not None:
        size = max(MIN_KERNEL_BYTES, round(media.second_bytes * KERNEL_SECONDS))
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


class _ServerWire:
    """The server side of a WebSocket (`legs.socket.SocketTransport`); the task that reads also closes it."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse) -> None:
        self._request = request
        self._transport = request.transport
        self._ws = ws
        self._reading: asyncio.Timeout | None = None
        self._moved = False
        self._read = asyncio.Event()

    async def read(self, leg: SocketLeg) -> None:
        """Pass what arrives to the leg, until the party has gone or `close` is called."""
        try:
            # In a task of its own: else each message would come through all that awaits this handler.
            async with asyncio.timeout(None) as self._reading, asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(leg), name=f"read {leg.leg_id}")
        except TimeoutError:
            if self._moved:
                await self._ws.close(code=WSCloseCode.SERVICE_RESTART, message=MOVED)
            else:
                await self._ws.close()
        finally:
            self._reading = None
            leg.disconnected()
            self._read.set()

    @property
    def has_room(self) -> bool:
        """See `legs.socket.SocketTransport`."""
        return self._transport is None or not self._transport.get_write_buffer_size()

    def send(self, message: bytes | str) -> None:
        """Send a message (`legs.socket.SocketTransport`)."""
        if isinstance(message, bytes):
            self._write(server_frame(BINARY, message))
        else:
            self._write(server_frame(TEXT, message.encode()))

    def ping(self, payload: bytes) -> None:
        """Send a ping (`legs.socket.SocketTransport`)."""
        self._write(server_frame(PING, payload))

    async def drained(self) -> None:
        """See `legs.socket.SocketTransport`."""
        await self._request.writer.drain()

    async def close(self, *, moved: bool = False) -> None:
        """Stop reading and close (`legs.socket.SocketTransport`)."""
        self._moved = moved
        if self._reading is not None:
            self._reading.reschedule(0.0)
            await self._read.wait()

    def abort(self) -> None:
        """Drop the connection at once (`legs.socket.SocketTransport`)."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def _write(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._ws.closed:
            raise ConnectionResetError("the party has gone")
        transport.write(frame)

    async def _pass_on(self, leg: SocketLeg) -> None:
        while True:
            message = await self._ws.receive()
            match message.type:
                case WSMsgType.BINARY:
                    await leg.receive_audio(message.data)
                case WSMsgType.PING:
                    # If the party has gone, the next message says so.
                    with suppress(ConnectionError):
                        await self._ws.pong(message.data)
                case WSMsgType.PONG:
                    leg.receive_pong(bytes(message.data))
                case WSMsgType.TEXT:
                    leg.receive_text(message.data)
                case _:
                    return
