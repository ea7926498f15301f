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
            port = self._free[0]
            if (bound := self._acquire((port,), addresses)) is not None:
                return port, bound
        raise LimitExceeded("no media port is free (rtc.ports)")

    def open_pair(self, address: str) -> list[socket.socket]:
        """Acquire an even port and the next one, for RTP and RTCP (RFC 3550 §11), and bind a socket to each.

        Raises:
            LimitExceeded: no such pair is free.
            LegError: the address is not this machine's.
        """
        free = set(self._free)
        for port in [one for one in self._free if not one % 2 and one + 1 in free]:
            if (bound := self._acquire((port, port + 1), (address,))) is not None:
                return bound
        raise LimitExceeded("no pair of media ports is free (rtc.ports)")

    def adopt(self, port: int) -> None:
        """Acquire a port whose socket another process has bound; ignored if it is not a free one of these."""
        if port not in self._used and port in self._free:
            self._free.remove(port)
            self._used.add(port)

    def release(self, port: int) -> None:
        """Release a port; ignored if it was not acquired."""
        if port in self._used:
            self._used.remove(port)
            self._free.append(port)

    def _acquire(
        self, ports: Sequence[int], addresses: Sequence[str]
    ) -> list[socket.socket] | None:
        """Acquire free ports and bind their sockets; None if one is in use elsewhere: they are tried last then."""
        for port in ports:
            self._free.remove(port)
        try:
            bound = _bind([(address, port) for port in ports for address in addresses])
        except OSError as error:
            self._free.extend(ports)
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise LegError(f"cannot receive media on {', '.join(addresses)}") from error
            return None
        self._used.update(ports)
        return bound


def _bind(names: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """Bind a UDP socket to each address and port."""
    bound: list[socket.socket] = []
    try:
        for address, port in names:
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
