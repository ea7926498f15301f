"""The buffers of client WebSockets, and what their connections have received."""

import asyncio
import socket
import sys
from typing import Final

import aiohttp

_TCP_INFO_BYTES: Final = 136
_BYTES_RECEIVED: Final = slice(128, 136)
"""Of Linux's struct tcp_info: tcpi_bytes_received."""


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
