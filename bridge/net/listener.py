"""Accepts connections within the limits, before anything is read or encrypted."""

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from bridge.errors import SettingsError
from bridge.net.connections import ConnectionCounters, Connections
from bridge.tasks import Tasks

log = logging.getLogger(__name__)

BACKLOG: Final = 128
AT_ONCE: Final = 16
"""Connections accepted in one iteration of the loop, and handshakes at once without TLS."""
HANDSHAKE_SECONDS: Final = 10.0
SHUTDOWN_SECONDS: Final = 3.0
"""How long TLS waits for the peer's close_notify."""
PAUSE_SECONDS: Final = 0.5
"""How long nothing is accepted when there are no file descriptors left."""
UNSENT_BYTES: Final = 64 * 1024
"""What the kernel buffers beyond what is in flight; megabytes by default."""
MAX_DESCRIPTORS: Final = 65_536
"""The soft limit is not raised beyond: some programs iterate over all descriptors."""


class Listeners:
    """Sockets that connections are accepted on."""

    def __init__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        *,
        connections: Connections,
        counters: ConnectionCounters,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Make it within the running loop; `factory` makes the protocol of a connection."""
        self._factory = factory
        self._connections = connections
        self._counters = counters
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._connecting = Tasks()
        self._handshakes: dict[asyncio.Task[None], None] = {}
        """Those in progress, the oldest first."""

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accept connections from now on; `aclose` closes the sockets."""
        for listener in listeners:
            listener.settimeout(0)
            self._sockets.append(listener)
            self._loop.add_reader(listener, self._accept, listener)

    async def aclose(self) -> None:
        """Stop accepting; accepted connections stay open."""
        for listener in self._sockets:
            self._loop.remove_reader(listener)
            listener.close()
        self._sockets.clear()
        await self._connecting.aclose()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if self._tls is None and len(self._connecting) >= AT_ONCE:
                return  # they will be ready, and counted, in a moment
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listener, error)
                return
            if not self._make_room():
                accepted.close()
                self._counters.connection_cut("refused")
                continue
            accepted.settimeout(0)
            _limit_send_buffer(accepted)
            work = self._connecting.spawn(self._connect(accepted, address[0]), name="accept")
            self._handshakes[work] = None
            work.add_done_callback(self._forget)

    def _forget(self, work: asyncio.Task[None]) -> None:
        self._handshakes.pop(work, None)

    def _make_room(self) -> bool:
        """Return whether there is room for one more, if need be by cancelling the oldest TLS handshake."""
        if self._connections.make_room(len(self._handshakes)):
            return True
        if self._tls is None or not self._handshakes:
            return False
        oldest = next(iter(self._handshakes))
        del self._handshakes[oldest]
        oldest.cancel()
        self._counters.connection_cut("no_room")
        return True

    async def _connect(self, accepted: socket.socket, address: str) -> None:
        seconds = HANDSHAKE_SECONDS if self._tls else None
        shutdown = SHUTDOWN_SECONDS if self._tls else None
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                self._factory,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=shutdown,
            )
        except (OSError, ssl.SSLError):  # the handshake failed, or the client has closed
            accepted.close()
            return
        self._connections.add(transport, address)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        log.error("http.cannot_accept", extra={"error": error.strerror})
        self._counters.connection_cut("no_descriptor")
        self._loop.remove_reader(listener)
        self._loop.call_later(PAUSE_SECONDS, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if listener in self._sockets:
            self._loop.add_reader(listener, self._accept, listener)


def _limit_send_buffer(accepted: socket.socket) -> None:
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Open a listening socket for each address of a host.

    Raises:
        SettingsError: an address cannot be bound.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((info[0], info[4]) for info in found):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.settimeout(0)
            listener.bind(address)
            listener.listen(BACKLOG)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror}; "
            "choose another with BRIDGE_HTTP__HOST and BRIDGE_HTTP__PORT"
        ) from error
    return listeners


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files as far as allowed; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
