"""The send buffers of client WebSockets."""

import asyncio
import socket

import aiohttp


def transport_of(ws: aiohttp.ClientWebSocketResponse) -> asyncio.Transport | None:
    """Return the transport of a WebSocket; None once closed. aiohttp exposes it to servers only."""
    return ws._writer.transport


def narrow(ws: aiohttp.ClientWebSocketResponse, size: int) -> None:
    """Limit the kernel's send buffer to about `size` bytes."""
    carrier = ws.get_extra_info("socket")
    if carrier is not None:
        # Linux doubles the value, for its own overhead.
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def has_room(ws: aiohttp.ClientWebSocketResponse) -> bool:
    """Return whether the kernel has taken all that was sent."""
    transport = transport_of(ws)
    return transport is None or not transport.get_write_buffer_size()
