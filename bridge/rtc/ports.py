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

    def acquire(self) -> int:
        """Acquire a port.

        Raises:
            LimitExceeded: every port is in use.
        """
        if not self._free:
            raise LimitExceeded("no media port is free")
        port = self._free.popleft()
        self._used.add(port)
        return port

    def release(self, port: int) -> None:
        """Release a port; ignored if it was not acquired."""
        if port in self._used:
            self._used.remove(port)
            self._free.append(port)

    def open(self, addresses: Sequence[str]) -> tuple[int, list[socket.socket]]:
        """Acquire a port and bind a UDP socket to it on each address, skipping ports in use elsewhere.

        Raises:
            LimitExceeded: no port is free.
            LegError: an address is not this machine's.
        """
        for _ in range(len(self._free)):
            port = self.acquire()
            try:
                return port, _bind(addresses, port)
            except OSError as error:
                self.release(port)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise LegError(f"cannot receive media on {', '.join(addresses)}") from error
        raise LimitExceeded("no media port is free")


def _bind(addresses: Sequence[str], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            six = ":" in address
            bound.append(
                socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
            )
            bound[-1].settimeout(0)
            if six:
                bound[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound[-1].bind((address, port))
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound
