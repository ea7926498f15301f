"""A WebSocket that is forwarded to the node that owns its call, as a tunnel of bytes (`api.forward`)."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from aiohttp import hdrs, web
from multidict import CIMultiDict

from bridge.cluster.siblings import Siblings
from bridge.cluster.sockets import narrow
from bridge.cluster.transports import BUFFER
from bridge.tasks import Tasks
from bridge.wire.node_signature import HEADER

if TYPE_CHECKING:
    from aiohttp.http_websocket import WebSocketReader


HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""RFC 9110 section 7.6.1; a tunnel keeps all but `transfer-encoding`."""


async def tunnel(
    request: web.Request, siblings: Siblings, node: int, headers: CIMultiDict[str]
) -> web.StreamResponse:
    """Forward an upgrade, then bytes in both directions."""
    target = request.rel_url.raw_path_qs
    (reader, writer), proof = await siblings.open_tunnel(node, request.method, target)
    headers = without(headers, frozenset({"transfer-encoding"}))
    headers.update(proof)
    try:
        narrow(writer.transport)
        async with asyncio.timeout(siblings.timing.forwarded):
            writer.write(_head(request.method, target, headers))
            status, headers = _read_head(await reader.readuntil(b"\r\n\r\n"))
        if HEADER in headers:  # other requests are told why (`Siblings.request`)
            raise ConnectionRefusedError("the sibling does not accept the signature")
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            return await _pump(request, headers, reader, writer)
        return await _refuse(request, status, headers, reader)
    finally:
        writer.close()


async def _refuse(
    request: web.Request,
    status: int,
    headers: CIMultiDict[str],
    reader: asyncio.StreamReader,
) -> web.StreamResponse:
    """Forward the owner's refusal of a socket, of the length that it states."""
    left = int(headers.get(hdrs.CONTENT_LENGTH, "0"))
    response = web.StreamResponse(status=status, headers=without(headers, HOP_BY_HOP))
    response.force_close()
    await response.prepare(request)
    while left > 0 and (piece := await reader.read(min(left, BUFFER))):
        left -= len(piece)
        await response.write(piece)
    if left and request.transport is not None:
        # The client must not take a truncated body for a complete one.
        request.transport.abort()
    return response


async def _pump(
    request: web.Request,
    headers: CIMultiDict[str],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> web.StreamResponse:
    if request.transport is None:
        raise ConnectionResetError("the client has gone")
    narrow(request.transport)
    request.transport.set_write_buffer_limits(high=BUFFER)
    response = web.StreamResponse(status=101, headers=headers)
    response.force_close()
    await response.prepare(request)
    tasks = Tasks()
    upstream = _Upstream(request.transport, writer, tasks)
    # aiohttp feeds an upgraded connection's bytes to any object with the methods of its reader.
    request.protocol.set_parser(cast("WebSocketReader", upstream))
    request.protocol.keep_alive(False)  # noqa: FBT003 - aiohttp's signature
    try:
        # When one side has gone the other is closed, here and by the caller.
        with suppress(OSError):
            while data := await reader.read(BUFFER):
                await response.write(data)
    finally:
        await tasks.aclose()
    return response


class _Upstream:
    """Forwards what a client sends after its upgrade, with back-pressure."""

    def __init__(
        self, client: asyncio.Transport, owner: asyncio.StreamWriter, tasks: Tasks
    ) -> None:
        self._client = client
        self._owner = owner
        self._tasks = tasks
        owner.transport.set_write_buffer_limits(high=BUFFER)

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Forward bytes (aiohttp's interface: not at the end, nothing left over)."""
        self._owner.write(data)
        full = self._owner.transport.get_write_buffer_size() > BUFFER
        if full and not self._tasks:
            self._client.pause_reading()
            self._tasks.spawn(self._drain(), name="drain to the owner")
        return False, b""

    def feed_eof(self) -> None:
        """Close the owner's side after the client's."""
        self._owner.close()

    async def _drain(self) -> None:
        with suppress(OSError):
            await self._owner.drain()
        if not self._client.is_closing():
            self._client.resume_reading()


def without(headers: Mapping[str, str], left_out: frozenset[str]) -> CIMultiDict[str]:
    """Return headers without those of these names, in lower case."""
    kept = ((name, value) for name, value in headers.items() if name.lower() not in left_out)
    return CIMultiDict(kept)


def _head(method: str, target: str, headers: CIMultiDict[str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _read_head(head: bytes) -> tuple[int, CIMultiDict[str]]:
    first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    headers = CIMultiDict((name, value.strip()) for name, _, value in pairs)
    return int(first.split()[1]), headers
