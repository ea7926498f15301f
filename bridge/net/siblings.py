"""The other nodes of this bridge, over Unix sockets in the data folder.

Each node listens on two of them, which its own user alone may open. Over `<data>/nodes/<index>.sock`
come clients' requests that another node forwards: it has checked their origin and rate already, and
they are never forwarded again. `<index>-node.sock` takes the nodes' own requests; an application of
its own answers there, which no client's request can reach.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

import aiohttp
from aiohttp import hdrs
from yarl import URL

from bridge.errors import SettingsError

log = logging.getLogger(__name__)

MAX_PATH = 103
"""Bytes of a Unix socket's path that every system accepts."""
NOT_MADE_UP = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)
"""Headers that a forwarded request has only if the client sent them."""
BASE = "http://localhost"
"""Any host works for the connection; this one passes the Host check of a node on loopback."""
KERNEL_BUFFER = 64 * 1024
"""Small, so that a stuck reader soon stops the writer."""
CONNECT_SECONDS = 1.0
REQUEST_SECONDS = 2.0
SILENT_SECONDS = 5.0
"""How long a sibling that did not answer gets no new calls from here."""


class Siblings:
    """HTTP clients of the other nodes."""

    def __init__(self, folder: Path, *, own: int, count: int) -> None:
        """Open the clients; must be called within the running loop.

        Args:
            folder: the folder with the nodes' sockets.
            own: this node's index.
            count: how many nodes there are, this one included.
        """
        self._folder = folder
        self.own = own
        self.count = count
        self._silent_until: dict[int, float] = {}
        self._sessions = {node: _session(self.path(node)) for node in self.others()}
        self._own_sessions = {
            node: _session(node_socket_path(folder, node)) for node in self.others()
        }

    def others(self) -> Iterable[int]:
        """The other nodes' indexes."""
        return (node for node in range(self.count) if node != self.own)

    def path(self, node: int) -> Path:
        """Return where a node listens for forwarded requests."""
        return socket_path(self._folder, node)

    def responsive(self) -> list[int]:
        """Return the other nodes' indexes, without those that did not answer lately."""
        now = asyncio.get_running_loop().time()
        return [node for node in self.others() if self._silent_until.get(node, 0.0) <= now]

    def note_silence(self, node: int, error: Exception) -> None:
        """Note that a sibling did not answer."""
        now = asyncio.get_running_loop().time()
        self._silent_until[node] = now + SILENT_SECONDS
        log.warning("sibling.silent", extra={"sibling": node, "error": type(error).__name__})

    async def send(
        self, node: int, method: str, target: str, *, headers: Mapping[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        """Forward a client's request to a sibling, and return the response once its headers are here.

        Raises:
            aiohttp.ClientError, OSError: the sibling does not answer.
        """
        return await self._sessions[node].request(
            method,
            URL(f"{BASE}{target}", encoded=True),
            headers=headers,
            skip_auto_headers=NOT_MADE_UP,
            data=body,
            allow_redirects=False,
        )

    async def get(self, node: int, path: str, **query: str) -> bytes | None:
        """GET a node path of a sibling; None when it does not answer with 200 in time."""
        return await self._request(node, hdrs.METH_GET, path, query)

    async def get_all(self, path: str, **query: str) -> dict[int, bytes | None]:
        """GET the same of every sibling at once."""
        others = list(self.others())
        answers = await asyncio.gather(*(self.get(node, path, **query) for node in others))
        return dict(zip(others, answers, strict=True))

    async def post(
        self, node: int, path: str, *, headers: Mapping[str, str], body: bytes, **query: str
    ) -> bytes | None:
        """POST to a node path of a sibling; None when it does not answer with 200 in time."""
        return await self._request(node, hdrs.METH_POST, path, query, headers, body)

    async def post_all(
        self, path: str, *, headers: Mapping[str, str], body: bytes, **query: str
    ) -> None:
        """POST the same to every sibling; one that does not answer in time is left out."""
        await asyncio.gather(
            *(self.post(node, path, headers=headers, body=body, **query) for node in self.others())
        )

    async def aclose(self) -> None:
        """Close the connections."""
        for session in (*self._sessions.values(), *self._own_sessions.values()):
            await session.close()

    async def _request(
        self,
        node: int,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes | None:
        try:
            async with (
                asyncio.timeout(REQUEST_SECONDS),
                self._own_sessions[node].request(
                    method,
                    f"{BASE}{path}",
                    params=query,
                    headers=headers,
                    skip_auto_headers=NOT_MADE_UP,
                    data=body,
                ) as response,
            ):
                response.raise_for_status()
                return await response.read()
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one too
            self.note_silence(node, error)
            return None


def socket_path(folder: Path, node: int) -> Path:
    """Return where a node listens for requests that its siblings forward."""
    return folder / f"{node}.sock"


def node_socket_path(folder: Path, node: int) -> Path:
    """Return where a node listens for its siblings' own requests."""
    return folder / f"{node}-node.sock"


def listen(path: Path) -> socket.socket:
    """Open a node's socket for its siblings; replaces one that is left over.

    Raises:
        SettingsError: the path is longer than a socket's address may be.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise SettingsError(f"data.dir: {path} is too long for a socket; choose a shorter folder")
    # Renamed once ready: nobody finds a socket that does not listen yet, or is not 0600.
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(fresh))
    fresh.chmod(0o600)
    listener.listen(socket.SOMAXCONN)
    fresh.rename(path)
    return listener


def narrow(transport: asyncio.BaseTransport) -> None:
    """Make the kernel's buffers of a connection small."""
    carrier = transport.get_extra_info("socket")
    if carrier is not None:
        # Linux doubles the value.
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER // 2)
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER // 2)


def _session(path: Path) -> aiohttp.ClientSession:
    # Our own processes only: there is no address for the guard to check.
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(os.fspath(path), limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        auto_decompress=False,
    )
