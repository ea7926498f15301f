"""The machine the tests run on: its own address, and ports that are free."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import cycle
from typing import Final

FIRST: Final = 7_000
LAST: Final = 10_000
"""Below those that tests use for media, and those that the kernel hands out for outgoing connections."""
OWN: Final = 200
"""Ports of one process."""


def own_address() -> str:
    """Return the address of the default route, else of the host name; may be loopback.

    Nothing is sent: connecting a UDP socket only asks the routing table.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return socket.gethostbyname(socket.gethostname())
        return str(probe.getsockname()[0])


@cache
def _own_ports() -> Iterator[int]:
    """Return the ports of this process, over and over; no other process of tests in this network uses them while it lives."""
    for first in range(FIRST, LAST, OWN):
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0ports of bridge tests from {first}")
        except OSError:
            lock.close()
            continue
        lock.detach()  # Open until the process ends.
        return cycle(range(first, first + OWN))
    raise AssertionError(f"more than {(LAST - FIRST) // OWN} processes of tests need ports")


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that is free for TCP and UDP, and is not taken by chance before it is used."""
    for _ in range(OWN):
        port = next(_own_ports())
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            suppress(OSError),
        ):
            # Servers listen all the same while connections of the one before are in TIME_WAIT.
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((address, port))
            udp.bind((address, port))
            return port
    raise AssertionError("no free port")


def free_ports(number: int) -> set[int]:
    """Return as many different ports as asked for that are free at this moment."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return ports
