"""A UDP socket for SIP; ICMP errors are reported with the destination they concern."""

import asyncio
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

MAX_DATAGRAM: Final = 65_535
AT_ONCE: Final = 64
"""Datagrams read in one iteration of the loop."""
ATTEMPTS: Final = 3
"""To send a datagram while ICMP errors about others arrive."""
BUFFER_BYTES: Final = 1 << 20
"""The kernel's buffer in each direction: a burst of calls while the loop is busy."""
_IP_RECVERR, _IPV6_RECVERR = 11, 25
"""Linux's; Python does not define them."""

Address: TypeAlias = tuple[str, int]


class SipDatagrams:
    """One socket; created within the running loop."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        received: Callable[[bytes, Address], None],
        unreachable: Callable[[Address], None],
        count_drop: Callable[[str], None],
    ) -> None:
        """Bind it; port 0 is any that is free. `unreachable` gets addresses that refuse datagrams.

        Raises:
            OSError: the address cannot be bound.
        """
        self._received = received
        self._unreachable = unreachable
        self._count_drop = count_drop
        self._loop = asyncio.get_running_loop()
        self.six = ":" in host
        """Whether it sends to IPv6 addresses; to IPv4 addresses otherwise."""
        self._socket = _bind(host, port)
        name = self._socket.getsockname()
        self.host: str = name[0]
        self.port: int = name[1]
        # libuv (uvloop) stops watching a socket with a pending error; its epoll has none.
        self._epoll = select.epoll()
        self._epoll.register(self._socket, select.EPOLLIN)
        self._loop.add_reader(self._epoll, self._read)

    def send(self, data: bytes, address: Address) -> None:
        """Send a datagram; dropped and counted as `buffer_full` when the kernel's buffer is full."""
        refused: dict[Address, None] = {}
        for _ in range(ATTEMPTS):
            try:
                self._socket.sendto(data, address)
                break
            except (BlockingIOError, InterruptedError):
                self._count_drop("buffer_full")
                break
            except OSError:
                # An ICMP error about an earlier datagram, to whomever: this one has not been sent.
                refused |= dict.fromkeys(self._errors())
        else:
            refused[address] = None  # no route, or a message too long for UDP
        for each in refused:
            self._loop.call_soon(self._unreachable, each)

    def close(self) -> None:
        """Close it."""
        self._loop.remove_reader(self._epoll)
        self._epoll.close()
        self._socket.close()

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                self._read_errors()
                return
            except OSError:
                self._read_errors()
                continue
            self._received(data, (address[0], address[1]))
            if self._socket.fileno() < 0:
                return

    def _read_errors(self) -> None:
        """Report the destinations of queued ICMP errors."""
        refused = dict.fromkeys(self._errors())
        for address in refused:
            self._unreachable(address)

    def _errors(self) -> list[Address]:
        found: list[Address] = []
        with suppress(OSError, AttributeError):
            while len(found) < AT_ONCE:
                _, _, _, address = self._socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
                found.append((address[0], address[1]))
        return found


def _bind(host: str, port: int) -> socket.socket:
    six = ":" in host
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.settimeout(0)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            opened.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        if six:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with suppress(OSError):
            level, option = (
                (socket.IPPROTO_IPV6, _IPV6_RECVERR) if six else (socket.IPPROTO_IP, _IP_RECVERR)
            )
            opened.setsockopt(level, option, 1)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened
