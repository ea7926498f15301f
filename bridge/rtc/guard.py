"""What may reach a leg, and whom a leg may reach.

Everything that arrives on a leg's port from anybody but its peer changes nothing: it is dropped and
counted under one of `DISCARD_REASONS`, without a log line. Candidates that a peer offers are only
probed when they are public addresses, so that an offer cannot make the bridge scan networks, and
only few of them once the peer has sent a check, so that it cannot make the bridge send to others.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int]
"""Host and port of a datagram's sender."""

MAX_DATAGRAM: Final = 1500
MAX_ADDRESSES: Final = 8
"""How many addresses of its peer a leg hears on one ICE connection."""
MAX_PAIRS: Final = 16
"""How many pairs of our sockets and offered candidates a leg checks."""
MAX_LITE_CANDIDATES: Final = 2
"""How many candidates of an ICE-lite browser peer a leg checks: such a peer has one host address for
each IP version (RFC 8445 §5.2), and sends no check that could show which one is its own."""
MAX_SOURCES: Final = 16
"""How many SSRCs a peer may use within one DTLS association."""
MAX_PACKETS: Final = 500
"""How many packets of its peer a leg looks into in a second: ten seconds' worth after a stall."""
_FORGET_SECONDS: Final = 30.0
_MIN_PROBED_PORT: Final = 1024
# The IPv4 address is in the last 32 bits: NAT64, IPv4-compatible, IPv4-translated.
_EMBEDDING: Final = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0:0/96"),
)
# Not public either, though Python 3.11 knows nothing of it: protocol assignments, NAT64 of one's
# own network, site-local, documentation.
_NOT_PUBLIC: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("fec0::/10"),
    IPv6Network("3fff::/20"),
)

DISCARD_REASONS: Final = (
    "empty",
    "oversized",
    "unknown_source",  # not STUN, from an address that has not proved itself
    "unknown_kind",  # a first byte that is neither STUN, DTLS nor RTP (RFC 7983)
    "bad_stun",  # malformed, or without valid credentials
    "too_many_checks",  # with our user fragment, but more in a second than any peer sends
    "too_many_addresses",
    "dtls_overflow",
    "early_media",  # RTP before the keys exist
    "bad_srtp",
    "replayed",
    "too_many_sources",
    "too_many_packets",  # authentic, but more in a second than anyone speaks
    "unsendable",  # an outgoing packet while there is no path or no key, or one already sent
)


def no_discards() -> dict[str, int]:
    """Begin counting: every reason at zero."""
    return dict.fromkeys(DISCARD_REASONS, 0)


class KnownAddresses:
    """The addresses that proved to be the peer's by a STUN message with valid integrity.

    Args:
        on_forgotten: Told of an address that was given up for a new one.
    """

    def __init__(self, on_forgotten: Callable[[Address], None]) -> None:
        self.proved: dict[Address, float] = {}
        """When each address proved itself last (monotonic seconds)."""
        self._on_forgotten = on_forgotten

    def admit(self, address: Address, *, keep: Address | None, now: float) -> bool:
        """Remember that an address has just proved itself; False when there is no room for it.

        When the table is full, an address that has not proved itself for 30 s makes room.

        Args:
            address: Where the message came from.
            keep: The address in use, never given up.
            now: Monotonic seconds.
        """
        if address not in self.proved and len(self.proved) >= MAX_ADDRESSES:
            oldest = min((a for a in self.proved if a != keep), key=self.proved.__getitem__)
            if now - self.proved[oldest] < _FORGET_SECONDS:
                return False
            del self.proved[oldest]
            self._on_forgotten(oldest)
        self.proved[address] = now
        return True


def may_probe(host: str, port: int, *, private: bool) -> bool:
    """Whether checks may be sent to a candidate just because the peer offered it.

    Args:
        host: The candidate's address; a name is never probed.
        port: Ports below 1024 are never probed: no media is there, but DNS, NTP and SNMP are.
        private: Whether addresses that are not public count as well.
    """
    if not _MIN_PROBED_PORT <= port <= 65535:
        return False
    try:
        address = _embedded(ip_address(host))
    except ValueError:
        return False
    if address.is_multicast or address.is_unspecified or host == "255.255.255.255":
        return False
    return private or (address.is_global and not any(address in one for one in _NOT_PUBLIC))


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Give the IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64 ...), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
