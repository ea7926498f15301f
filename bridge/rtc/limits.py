"""Who may send to a leg, and which addresses a leg may send to.

Datagrams that are not from a leg's peer change nothing: they are dropped and counted under one of
`DISCARD_REASONS`, without a log line. Of offered candidates only public addresses are probed, so that
an offer cannot make the bridge scan networks, and only a few, once the peer has sent a check, so that
it cannot make the bridge flood others.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int]
"""Host and port."""

MAX_DATAGRAM: Final = 1500
MAX_ADDRESSES: Final = 8
"""Verified addresses of one ICE connection."""
MAX_PAIRS: Final = 16
"""Pairs of our sockets and offered candidates that a leg checks."""
MAX_LITE_CANDIDATES: Final = 2
"""Candidates of an untrusted ICE-lite peer that a leg checks: it has one host address per IP version
(RFC 8445 §5.2), and sends no check that would show which is its own."""
MAX_SOURCES: Final = 16
"""SSRCs that a peer may use within one DTLS association."""
MAX_CHECKS: Final = 200
"""STUN checks parsed per second and socket, and as many again from verified addresses."""
MAX_UNVERIFIED_CHECKS: Final = 2000
"""Checks from unverified addresses that a node parses per second: a fifteenth of a core, and five for each of
200 legs that change their network at once."""
MAX_PACKETS: Final = 500
"""Packets per second that a leg accepts: ten seconds' worth after a stall."""
_STALE_SECONDS: Final = 30.0
_MIN_PROBED_PORT: Final = 1024
# The IPv4 address is in the last 32 bits: NAT64, IPv4-compatible, IPv4-translated.
_EMBEDDING: Final = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0:0/96"),
)
# Not public, though Python 3.11 does not know: protocol assignments, local-use NAT64, site-local,
# documentation.
_NOT_PUBLIC: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("fec0::/10"),
    IPv6Network("3fff::/20"),
)

DISCARD_REASONS: Final = (
    "empty",
    "oversized",
    "unknown_source",  # not STUN, from an unverified address
    "unknown_kind",  # a first byte that is neither STUN, DTLS nor RTP (RFC 7983)
    "bad_stun",  # malformed, or without valid credentials
    "too_many_checks",  # with our user fragment, above the rate limit
    "too_many_addresses",
    "dtls_overflow",
    "early_media",  # RTP before the keys exist
    "bad_srtp",
    "replayed",
    "too_many_sources",
    "too_many_packets",  # authentic, above the rate limit
    "outdated",  # audio that waited while the leg passed to another process, but for the newest
    "unverified_digit",  # of an address that is heard, though signalling does not vouch for it
    "unsendable",  # outgoing, without a path or key, or sent before
)


class VerifiedAddresses:
    """The peer's addresses: those that sent a STUN message with valid integrity.

    `on_evicted` is called with an address that made room for a new one.
    """

    def __init__(self, on_evicted: Callable[[Address], None]) -> None:
        self.addresses: dict[Address, float] = {}
        """When each address was last verified (monotonic seconds)."""
        self._on_evicted = on_evicted

    def admit(self, address: Address, *, keep: Address | None, now: float) -> bool:
        """Add an address that was just verified; return False when there is no room for it.

        In a full table, an address that was last verified over 30 s ago makes room, unless it is
        `keep`, the one in use.
        """
        if address not in self.addresses and len(self.addresses) >= MAX_ADDRESSES:
            oldest = min((a for a in self.addresses if a != keep), key=self.addresses.__getitem__)
            if now - self.addresses[oldest] < _STALE_SECONDS:
                return False
            del self.addresses[oldest]
            self._on_evicted(oldest)
        self.addresses[address] = now
        return True


class CheckBudget:
    """The checks from unverified addresses that all sockets of a node parse in a second.

    Half of it is shared equally among the sockets that get such checks, the other half is for those that get their
    first ones, so that a flood at some legs does not keep others from connecting.
    """

    def __init__(self, limit: int = MAX_UNVERIFIED_CHECKS) -> None:
        self._limit = limit
        self._left = 0
        self._second_ends = 0.0
        self._before = 0
        """How many sockets got checks in the second before."""
        self._used: dict[int, int] = {}
        """By socket: what came in this second."""

    def admits(self, socket: int, now: float) -> bool:
        """Return whether to parse another check at a socket."""
        if now >= self._second_ends:
            self._second_ends, self._left = now + 1.0, self._limit
            self._before = len(self._used)
            self._used.clear()
        used = self._used[socket] = self._used.get(socket, 0) + 1
        share = self._limit // (2 * max(self._before, len(self._used)))
        if used > max(1, min(share, MAX_CHECKS)) or self._left <= 0:
            return False
        self._left -= 1
        return True


def may_probe(host: str, port: int, *, private: bool) -> bool:
    """Return whether checks may be sent to an offered candidate, which `private` allows in LANs too.

    Never to a name, nor to a port below 1024: DNS, NTP and SNMP are there, but no media.
    """
    if not _MIN_PROBED_PORT <= port <= 65535:
        return False
    try:
        address = _embedded(ip_address(host))
    except ValueError:
        return False
    if address.is_multicast or address.is_unspecified or host == "255.255.255.255":
        return False
    return private or is_public(host)


def is_public(host: str) -> bool:
    """Return whether an IP address is one host's in the public Internet; raises `ValueError` for a name."""
    address = _embedded(ip_address(host))
    return address.is_global and not any(address in one for one in _NOT_PUBLIC)


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address embedded in an IPv6 one (mapped, 6to4, NAT64 …), else the address."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
