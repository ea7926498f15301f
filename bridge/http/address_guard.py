"""Which addresses customers' URLs may reach: no private network, unless the operator allows it.

A name is checked by the addresses it has when connecting (`ConnectorResolver`), so DNS rebinding gains
nothing. Closed are the IANA special-purpose networks (RFC 6890), the metadata services of clouds that
have public addresses, the bridge's own addresses and the networks of its machine.
"""

import socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override
from yarl import URL

from bridge.errors import AddressBlocked, InvalidRequest
from bridge.http.interfaces import Network
from bridge.http.resolver import Address, LookupFailed, Resolver

MAX_URL: Final = 2048
ENCRYPTED: Final = frozenset({"https", "wss"})

_CLOSED: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service too
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform service
        "169.254.0.0/16",  # link-local, and most clouds' metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "3fff::/20",
    )
)
_GLOBAL_IPV6: Final = ip_network("2000::/3")
"""The rest of IPv6 is local, multicast or unassigned."""
_NAT64: Final = ip_network("64:ff9b::/96")
_6TO4: Final = ip_network("2002::/16")


class Guard:
    """Checks URLs and addresses by the settings `net.allow`, `net.deny` and `net.require_tls`."""

    def __init__(
        self,
        *,
        allow: Sequence[Network],
        require_tls: bool,
        deny: Sequence[Network] = (),
        own: Callable[[], Iterable[Network]] = tuple,
    ) -> None:
        """Make a guard.

        Args:
            allow: closed networks that customers' URLs may reach, on any port, with or without TLS.
            require_tls: refuse plain `http` and `ws` elsewhere.
            deny: networks that are closed even where `allow` has them.
            own: returns the machine's networks, closed unless `allow` contains them.
        """
        self._allow = tuple(allow)
        self._deny = tuple(deny)
        self._own = own
        self._require_tls = require_tls

    async def check(
        self, url: str, resolver: Resolver, *, schemes: Sequence[str] = ("https", "http")
    ) -> None:
        """Check a URL; a session of `LineHttp` checks it again when it connects.

        A name without an address passes: connecting to it fails anyway.

        Raises:
            InvalidRequest: it is not a URL with one of the schemes.
            AddressBlocked: it leads where customers' URLs may not.
        """
        parsed = parse(url, schemes=schemes)
        host = host_of(parsed)
        literal = read_address(host)
        try:
            addresses = [literal] if literal else await resolver.resolve(host)
        except LookupFailed:
            addresses = []
        if addresses and not any(self.may_connect(address) for address in addresses):
            raise blocked()
        trusted = any(self.is_allowlisted(address) for address in addresses)
        if self._require_tls and parsed.scheme not in ENCRYPTED and not trusted:
            raise AddressBlocked(
                "the URL must be encrypted: https or wss (setting net.require_tls)"
            )

    def may_connect(self, address: Address) -> bool:
        """Return whether an address may be reached."""
        if self.is_allowlisted(address):
            return True
        closed = (*self._deny, *self._own())
        return is_public(address) and not any(_in(closed, form) for form in _forms(address))

    def is_allowlisted(self, address: Address) -> bool:
        """Return whether an address is in a network of `allow`, and in none of `deny`."""
        denied = any(_in(self._deny, form) for form in _forms(address))
        return not denied and _in(self._allow, _plain(address))


class ConnectorResolver(AbstractResolver):
    """Resolves names for a connector to the addresses that may be reached: all, without a guard."""

    def __init__(self, resolver: Resolver, guard: Guard | None = None) -> None:
        self._resolver = resolver
        self._guard = guard

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses to connect to (`aiohttp.abc.AbstractResolver`).

        Raises:
            OSError: the name has no address.
            AddressBlocked: none of its addresses may be reached.
        """
        found = await self._resolver.resolve(host.rstrip("."))
        permitted = [
            address for address in found if not self._guard or self._guard.may_connect(address)
        ]
        if not permitted:
            raise blocked()
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in permitted
        ]

    @override
    async def close(self) -> None:
        """Return at once: nothing is kept open."""


def parse(url: str, *, schemes: Sequence[str]) -> URL:
    """Read a URL.

    Raises:
        InvalidRequest: it is none, is too long, or has another scheme.
    """
    if len(url) > MAX_URL or any(ord(letter) <= 0x20 for letter in url) or "\\" in url:
        raise InvalidRequest(f"expected a URL of at most {MAX_URL} characters without spaces")
    try:
        parsed = URL(url)
        host, _ = parsed.host, parsed.port
    except ValueError:
        raise InvalidRequest("this is not a URL") from None
    if parsed.scheme not in schemes or not host:
        raise InvalidRequest(f"expected a URL that begins with {' or '.join(schemes)}")
    return parsed


def host_of(url: URL) -> str:
    """Return the host of a URL without a trailing dot; "" for none."""
    return (url.host or "").rstrip(".")


def read_address(host: str) -> Address | None:
    """Read an address in any form that a resolver accepts, those of `inet_aton` included; None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_public(address: Address) -> bool:
    """Return whether an address is public; one embedded in another is checked itself."""
    address = _plain(address)
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_IPV6:
            return False
    return not any(address in network for network in _CLOSED if network.version == address.version)


def blocked() -> AddressBlocked:
    """Return the error for an address, which it does not name."""
    return AddressBlocked(
        "the URL leads to a private or reserved address, or one of the bridge's own networks; "
        "the operator can open networks with the setting net.allow"
    )


def _in(networks: Iterable[Network], address: Address) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _forms(address: Address) -> tuple[Address, ...]:
    """Return an address, and the IPv4 address embedded in it, if any."""
    plain = _plain(address)
    inner = _embedded(plain) if isinstance(plain, IPv6Address) else None
    return (plain,) if inner is None else (plain, inner)


def _plain(address: Address) -> Address:
    """Return the IPv4 address of an IPv4-mapped one (`::ffff:1.2.3.4`), else the address."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that NAT64 (RFC 6052) or 6to4 (RFC 3056) maps this one to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour if address in _6TO4 else None
