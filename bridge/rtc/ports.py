"""UDP ports for media: a bounded range, each port used by at most one leg at a time."""

import errno
import secrets
import socket
from collections import deque
from collections.abc import Iterable, Sequence

from bridge.errors import LegError, LimitExceeded


class PortPool:
    """The node's media ports.

    They are used in turn from a random start, so that late datagrams for an ended leg do not reach
    the next one.
    """

    def __init__(self, ports: Iterable[int]) -> None:
        self._free = deque(ports)
        self._used: set[int] = set()
        if self._free:
            self._free.rotate(-secrets.randbelow(len(self._free)))

    @property
    def free(self) -> int:
        """How many ports are free."""
        return len(self._free)

    @property
    def used(self) -> int:
        """How many ports are in use."""
        return len(self._used)

    def open(self, addresses: Sequence[str]) -> tuple[int, list[socket.socket]]:
        """Acquire a port and bind a UDP socket to it on each address, skipping ports in use elsewhere.

        Raises:
            LimitExceeded: no port is free.
            LegError: an address is not this machine's.
        """
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                sockets = _bind(addresses, port)
            except OSError as error:
                self._free.append(port)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise LegError(f"cannot receive media on {', '.join(addresses)}") from error
            else:
                self._used.add(port)
                return port, sockets
        raise LimitExceeded("no media port is free")

    def open_pair(self, address: str) -> list[socket.socket]:
        """Acquire an even port and the next one, for RTP and RTCP (RFC 3550 §11), and bind a socket to each.

        Raises:
            LimitExceeded: no such pair is free.
            LegError: the address is not this machine's.
        """
        free = set(self._free)
        for port in [one for one in self._free if not one % 2 and one + 1 in free]:
            self._free.remove(port)
            self._free.remove(port + 1)
            bound: list[socket.socket] = []
            try:
                bound += _bind([address], port)
                bound += _bind([address], port + 1)
            except OSError as error:
                for sock in bound:
                    sock.close()
                self._free.extend((port, port + 1))
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise LegError(f"cannot receive media on {address}") from error
            else:
                self._used.update((port, port + 1))
                return bound
        raise LimitExceeded("no pair of media ports is free")

    def release(self, port: int) -> None:
        """Release a port; ignored if it was not acquired."""
        if port in self._used:
            self._used.remove(port)
            self._free.append(port)


def _bind(addresses: Sequence[str], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            six = ":" in address
            sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
            bound.append(sock)
            sock.settimeout(0)
            if six:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound
