"""WebSockets that we dial: how much of what was sent still waits on this side."""

import asyncio
import socket

import aiohttp


def transport_of(ws: aiohttp.ClientWebSocketResponse) -> asyncio.Transport | None:
    """Give the transport beneath a WebSocket; None once it is closed.

    aiohttp shows it to servers only, but its own buffer cannot be counted without it.
    """
    return ws._writer.transport


def narrow(ws: aiohttp.ClientWebSocketResponse, size: int) -> None:
    """Let the kernel hold about `size` bytes of what is sent, and no more."""
    carrier = ws.get_extra_info("socket")
    if carrier is not None:
        # Linux takes twice what it is told, for its own records beside the bytes.
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def has_room(ws: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether all that was sent has left for the kernel."""
    transport = transport_of(ws)
    return transport is None or not transport.get_write_buffer_size()
