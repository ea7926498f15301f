"""The client's address behind reverse proxies."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp import HttpVersion11, web

from bridge.settings.http import host_name, is_loopback

FORWARDED: Final = ("forwarded", "x-forwarded")
"""How headers begin that proxies add."""
OF_PROXIES: Final = frozenset(
    {"via", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip"}
)
FORWARDED_FOR: Final = "X-Forwarded-For"
UNKNOWN: Final = "unknown"
"""The address of a request that came over a Unix socket, such as another node's."""
SUBNET_BITS: Final = 64
"""An IPv6 customer has at least a /64: its addresses count as one."""


class Proxies:
    """The reverse proxies of `http.trusted_proxies`."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def trusts(self, address: str) -> bool:
        """Whether an address is one of them."""
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client(self, request: web.Request) -> str:
        """Return the address that a request is counted under: an IPv4 address or an IPv6 /64 network.

        `X-Forwarded-For` is read from the right, as far as trusted proxies wrote it; the client may
        have forged the rest.
        """
        transport = request.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        if not isinstance(peer, tuple):
            return UNKNOWN
        found = _parse(str(peer[0]))
        hops = ",".join(request.headers.getall(FORWARDED_FOR, [])).split(",")
        while found is not None and self.trusts(str(found)) and hops:
            if (before := _parse(hops.pop())) is None:
                break
            found = before
        return UNKNOWN if found is None else _counted(found)


def sign_of_proxy(request: web.Request) -> str | None:
    """Return what shows that a request is not of a program on this machine; None if nothing does.

    nginx speaks HTTP/1.0 to its upstreams unless it is told otherwise. A tunnel that leaves requests as they
    are cannot be told from a program on this machine.
    """
    for name in request.headers:
        plain = name.lower().replace("_", "-")
        if plain in OF_PROXIES or plain.startswith(FORWARDED):
            return name.title()
    if request.version < HttpVersion11:
        return "HTTP/1.0"
    return None if is_loopback(host_name(request.host) or "") else "its Host header"


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, also with brackets or a port, as some proxies write it."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


def _counted(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, SUBNET_BITS), strict=False))
