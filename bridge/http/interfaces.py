"""The machine's own addresses, and the networks it is in."""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
)
from typing import Final, TypeAlias

import ifaddr

Network: TypeAlias = IPv4Network | IPv6Network

DOCUMENTATION_ADDRESS: Final = "192.0.2.1"
"""Never reached (RFC 5737); the kernel only says which of our addresses would be used."""
FRESH_SECONDS: Final = 30.0
"""How long the networks are cached; addresses change while the bridge runs."""


def read_networks() -> list[Network]:
    """Return the networks of all interfaces."""
    return [each.network for each in _read() if each.network.prefixlen]


def read_addresses() -> set[IPv4Address | IPv6Address]:
    """Return the addresses of all interfaces."""
    return {each.ip for each in _read()}


def _read() -> Iterator[IPv4Interface | IPv6Interface]:
    for adapter in ifaddr.get_adapters():
        for address in adapter.ips:
            text = address.ip if isinstance(address.ip, str) else address.ip[0]
            yield ip_interface(f"{text.partition('%')[0]}/{address.network_prefix}")


class Interfaces:
    """The networks of the machine's interfaces, and its public addresses."""

    def __init__(
        self,
        more: Sequence[Network] = (),
        *,
        read: Callable[[], Iterable[Network]] = read_networks,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`more` are own addresses that no interface has, such as the public one of 1:1 NAT."""
        self._more = tuple(more)
        self._read = read
        self._now = now
        self._known = self._more
        self._until = float("-inf")

    def networks(self) -> tuple[Network, ...]:
        """Return all networks, at most 30 s old unless they cannot be read."""
        now = self._now()
        if now >= self._until:
            self._until = now + FRESH_SECONDS
            with suppress(OSError):
                self._known = (*self._more, *self._read())
        return self._known


def default_address() -> str:
    """Return the address of the default route, else loopback; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((DOCUMENTATION_ADDRESS, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
