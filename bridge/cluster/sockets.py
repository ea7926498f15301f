"""The Unix sockets that the nodes of one machine reach each other by, in the data folder.

Each node listens on some of them, which its own user alone may open. Over `<data>/nodes/<node>.sock`
come clients' requests that another node forwards: it has checked their origin and rate already, and
they are never forwarded again. `<node>-node.sock` takes the nodes' own requests; an application of
its own answers there, which no client's request can reach. At `<node>-handover.sock` a node whose supervisor
can replace it takes over live calls (`cluster.handover_server`).
"""

import asyncio
import os
import socket
from pathlib import Path
from typing import Final

from bridge.errors import SettingsError

MAX_PATH: Final = 103
"""Bytes of a Unix socket's path that every system accepts."""
KERNEL_BUFFER: Final = 64 * 1024
"""Small, so that a stuck reader soon stops the writer."""


def socket_path(folder: Path, node: int) -> Path:
    """Return where a node listens for requests that its siblings forward."""
    return folder / f"{node}.sock"


def node_socket_path(folder: Path, node: int) -> Path:
    """Return where a node listens for its siblings' own requests."""
    return folder / f"{node}-node.sock"


def handover_socket_path(folder: Path, node: int) -> Path:
    """Return where a node takes over the calls of another."""
    return folder / f"{node}-handover.sock"


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
        narrow_socket(carrier)


def narrow_socket(carrier: socket.socket) -> None:
    """Make the kernel's buffers of a socket small; Linux doubles the value."""
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER // 2)
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER // 2)
