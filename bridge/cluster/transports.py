"""How a node reaches another: by Unix sockets on one machine, by its `cluster.url` on another."""

import asyncio
import os
import socket
import ssl
from pathlib import Path
from typing import Final, TypeAlias

import aiohttp
from yarl import URL

from bridge.cluster.sockets import narrow_socket, node_socket_path, socket_path
from bridge.cluster.timing import DEFAULT, ClusterTiming
from bridge.http.listener import watch_peer
from bridge.http.node_signature import NodeSigner
from bridge.stores.nodes import Member
from bridge.wire.node_signature import HEADER, Request

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

UNIX_BASE: Final = "http://localhost"
"""Any host works for the connection; this one passes the Host check of a node on loopback."""
BUFFER: Final = 16 * 1024
"""Bytes that a tunnel buffers in each direction."""


class UnixTransport:
    """The way to the nodes of this machine."""

    def __init__(self, folder: Path, timing: ClusterTiming = DEFAULT) -> None:
        """Use the sockets in a folder (`cluster.sockets`)."""
        self._folder = folder
        self._timing = timing
        self._sessions: dict[Path, aiohttp.ClientSession] = {}

    def session(self, member: Member, *, own: bool) -> aiohttp.ClientSession:
        """Return the client for forwarded requests, or with `own` for a node's own requests."""
        path = (node_socket_path if own else socket_path)(self._folder, member.node)
        if path not in self._sessions:
            self._sessions[path] = _session(
                aiohttp.UnixConnector(os.fspath(path), limit=0), self._timing
            )
        return self._sessions[path]

    def base(self, member: Member) -> str:
        """Return what the URLs of requests to any node begin with."""
        return UNIX_BASE

    def headers(self, member: Member, request: Request) -> dict[str, str]:
        """Return none: only this machine's own user can open the sockets."""
        return {}

    async def open_tunnel(self, member: Member) -> Streams:
        """Connect to where a node takes forwarded requests.

        Raises:
            OSError, TimeoutError: it does not answer.
        """
        path = socket_path(self._folder, member.node)
        async with asyncio.timeout(self._timing.connect):
            return await asyncio.open_unix_connection(path, limit=BUFFER)

    async def aclose(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()


class NetworkTransport:
    """The way to the nodes of other machines; every request is signed."""

    def __init__(
        self, signer: NodeSigner, tls: ssl.SSLContext | None = None, timing: ClusterTiming = DEFAULT
    ) -> None:
        """Sign by `signer`; `tls` has this machine's certificate, and verifies those of the others."""
        self._signer = signer
        self._tls = tls
        self._timing = timing
        # Other machines of the operator: their addresses come from rows of the database that they have signed.
        self._session = _session(
            aiohttp.TCPConnector(
                limit=0,
                ssl=tls or True,
                keepalive_timeout=timing.kept,
                socket_factory=_socket,
            ),
            timing,
        )

    def session(self, member: Member, *, own: bool) -> aiohttp.ClientSession:
        """Return the client of all machines."""
        return self._session

    def base(self, member: Member) -> str:
        """Return the URL of a node's machine.

        Raises:
            ConnectionRefusedError: none is known that is signed.
        """
        return _url(member).rstrip("/")

    def headers(self, member: Member, request: Request) -> dict[str, str]:
        """Return the signature of a request."""
        return {HEADER: self._signer.sign(request, target=member.node, boot=member.boot)}

    async def open_tunnel(self, member: Member) -> Streams:
        """Connect to the node's machine; raises as that of `UnixTransport`, or as `base`."""
        url = URL(_url(member))
        tls = self._tls if url.scheme == "https" else None
        async with asyncio.timeout(self._timing.connect):
            connected = await _connect(url)
            return await asyncio.open_connection(
                sock=connected, limit=BUFFER, ssl=tls, server_hostname=url.host if tls else None
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()


Transport: TypeAlias = UnixTransport | NetworkTransport
"""A way to the other nodes."""


def _url(member: Member) -> str:
    if not member.url:
        raise ConnectionRefusedError("its row in the database has no cluster.url that is signed")
    return member.url


def _socket(found: aiohttp.AddrInfoType) -> socket.socket:
    """Make a socket for an address that `getaddrinfo` has found."""
    family, kind, protocol, *_ = found
    connection = socket.socket(family, kind, protocol)
    watch_peer(connection)
    return connection


async def _connect(url: URL) -> socket.socket:
    """Connect with small buffers in the kernel: once connected they no longer limit what is under way."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    connection = _socket(found[0])
    try:
        connection.settimeout(0)
        narrow_socket(connection)
        await loop.sock_connect(connection, found[0][4])
    except BaseException:
        connection.close()
        raise
    return connection


def _session(connector: aiohttp.BaseConnector, timing: ClusterTiming) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=timing.connect),
        auto_decompress=False,
    )
