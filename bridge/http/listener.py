"""Accepts connections within the limits, before anything is read or encrypted."""

import asyncio
import logging
import os
import resource
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Final

from bridge.errors import SettingsError
from bridge.http.connections import Connections
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
KEEPALIVE_SECONDS: Final = 5
"""Between machines: how long a connection is idle before the peer is probed, and between three probes."""
UNACKNOWLEDGED_SECONDS: Final = 20
"""Between machines: how long what was sent may stay unacknowledged."""
MAX_DESCRIPTORS: Final = 65_536
"""The soft limit is not raised beyond: some programs iterate over all descriptors."""


class Listeners:
    """Sockets that connections are accepted on."""

    def __init__(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        *,
        connections: Connections,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """To be made within the running loop; `factory` makes the protocol of a connection."""
        self._factory = factory
        self._connections = connections
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._accepting = False
        self._connecting = Tasks()
        self._handshakes: dict[asyncio.Task[None], None] = {}
        """Those in progress, the oldest first."""

    def start(self, listeners: Iterable[socket.socket], *, accept: bool = True) -> None:
        """Take sockets to accept connections on; `aclose` closes them."""
        for listener in listeners:
            listener.settimeout(0)
            self._sockets.append(listener)
        self.accept(on=accept)

    def accept(self, *, on: bool) -> None:
        """Accept connections from now on, or leave them to other processes with the same sockets."""
        self._accepting = on
        for listener in self._sockets:
            if on:
                self._loop.add_reader(listener, self._accept, listener)
            else:
                self._loop.remove_reader(listener)

    def close(self) -> None:
        """Accept what is in the backlog, then close the sockets; accepted connections stay open.

        The connections of sockets that other processes have, too, are left to these.
        """
        for listener in self._sockets:
            if self._accepting:
                self._accept(listener)
            self._loop.remove_reader(listener)
            listener.close()
        self._sockets.clear()

    async def aclose(self) -> None:
        """Stop accepting; accepted connections stay open."""
        self.accept(on=False)
        self.close()
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
                self._connections.count_cut("refused")
                continue
            accepted.settimeout(0)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            work = self._connecting.spawn(self._connect(accepted, address[0]), name="accept")
            self._handshakes[work] = None
            work.add_done_callback(lambda done: self._handshakes.pop(done, None))

    def _make_room(self) -> bool:
        """Return whether there is room for one more, if need be by cancelling the oldest TLS handshake."""
        if self._connections.make_room(len(self._handshakes)):
            return True
        if self._tls is None or not self._handshakes:
            return False
        oldest = next(iter(self._handshakes))
        del self._handshakes[oldest]
        oldest.cancel()
        self._connections.count_cut("no_room")
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
        log.error("listener.accept_failed", extra={"error": error.strerror})
        self._connections.count_cut("no_descriptor")
        self._loop.remove_reader(listener)
        self._loop.call_later(PAUSE_SECONDS, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if listener in self._sockets and self._accepting:
            self._loop.add_reader(listener, self._accept, listener)


def open_listeners(
    host: str, port: int, *, settings: str = "BRIDGE_HTTP__HOST and BRIDGE_HTTP__PORT"
) -> list[socket.socket]:
    """Open a listening socket for each address of a host; `settings` are those that name it.

    Raises:
        SettingsError: an address cannot be bound.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((info[0], info[4]) for info in found):
            listeners.append(socket.create_server(address, family=family, backlog=BACKLOG))
    except OSError as error:
        for listener in listeners:
            listener.close()
        # The text of `create_server` repeats the address.
        unknown = isinstance(error, socket.gaierror)
        reason = error.strerror if unknown else os.strerror(error.errno or 0)
        raise SettingsError(
            f"cannot listen on {host}:{port}: {reason}; choose another with {settings}"
        ) from error
    return listeners


def open_cluster_listeners(host: str, port: int) -> list[socket.socket]:
    """Open the listening socket of `cluster.url`; none where that is not set.

    Raises:
        SettingsError: it is no address of this machine, or taken.
    """
    opened = open_listeners(host, port, settings="cluster.url") if host else []
    for listener in opened:
        watch_peer(listener)  # which accepted sockets inherit
    return opened


def watch_peer(carrier: socket.socket) -> None:
    """Have a connection fail soon after its peer, or the network to it, has gone silently."""
    options = {
        "TCP_KEEPIDLE": KEEPALIVE_SECONDS,
        "TCP_KEEPINTVL": KEEPALIVE_SECONDS,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": UNACKNOWLEDGED_SECONDS * 1000,
    }
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options.items():
        if hasattr(socket, name):  # all are Linux's
            carrier.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files as far as allowed; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
