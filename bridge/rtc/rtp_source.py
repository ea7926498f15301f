"""Where a peer's plain RTP comes from, and where ours goes (symmetric RTP, RFC 4961).

A description names the address at which a peer receives; behind a NAT its packets come from another. Unencrypted
packets prove nothing, so only an address that signalling vouches for is sent to: on the described host, the host
that signals, or in the trunk's networks. Another may be heard until one of these has sent, unless `SourcePolicy.strict`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, NamedTuple

from bridge.rtc.limits import Address, is_public
from bridge.wire.snapshot.peer import SourceSnapshot
from bridge.wire.snapshot_fields import copied, restored

SILENT_SECONDS: Final = 1.0
"""Silence of the address in use before another one is followed."""
PROBATION: Final = 3
"""Packets in sequence before an address that was not named is followed."""
_MAX_CANDIDATES: Final = 8
_HEADER: Final = 12


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """Which addresses besides the described one are a trunk's."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    strict: bool = False
    """Whether no other address is ever heard."""


@dataclass(slots=True)
class _Candidate:
    ssrc: bytes
    following: int
    """The next sequence number."""
    packets: int = 1


class _Header(NamedTuple):
    payload_type: int
    sequence: int
    ssrc: bytes


class RtpSource:
    """The addresses of one peer.

    A packet whose sender is `current` needs no check but `heard`; all others go through `admit`.
    """

    def __init__(
        self,
        policy: SourcePolicy = SourcePolicy(),
        *,
        signaller: Callable[[], str],
        on_unverified: Callable[[], None] = lambda: None,
    ) -> None:
        """Make one that has heard nothing.

        Args:
            policy: which addresses are the peer's besides the described one.
            signaller: returns the IP address that the peer signals from; empty while that is unknown.
            on_unverified: called when an address is heard that nothing vouches for.
        """
        self.target: Address | None = None
        """Where to send to; None before a description, and while the peer wants nothing sent."""
        self.current: Address | None = None
        """Where its packets come from; None before the first."""
        self.verified = False
        """Whether `current` may be sent to; if not, it is heard alone, and its digits are dropped."""
        self.behind_nat = False
        """Whether the named address is private, so that its packets may come from a host that others share."""
        self.heard_at = 0.0
        """When the last packet came from `current` (monotonic seconds)."""
        self._policy = policy
        self._on_unverified = on_unverified
        self._named: Address | None = None
        self._signaller_of = signaller
        self._signaller = ""
        self._ssrc = b""
        self._payload_types: frozenset[int] = frozenset()
        self._locked = False
        """Whether an address that may be sent to has sent since the description: no other is heard."""
        self._followed = False
        """Whether such an address has been followed since."""
        self._moved_at: float | None = None
        """When a description named another address, until packets show whether the peer is there."""
        self._candidates: dict[Address, _Candidate] = {}

    @property
    def unchecked(self) -> Address | None:
        """The address whose packets need no check now, not even `heard`; `catch_up` is told of them later."""
        return self.current if self._moved_at is None else None

    def catch_up(self, ssrc: int, at: float) -> None:
        """Note when the last packet came from `current`, and of which SSRC, if that was after `heard`."""
        if at > self.heard_at:
            self.heard_at, self._ssrc = at, ssrc.to_bytes(4, "big")

    def snapshot(self) -> SourceSnapshot:
        """Return what another source goes on with; who is on probation begins anew."""
        return copied(SourceSnapshot, self)

    def restore(self, snapshot: SourceSnapshot) -> None:
        """Go on where another source stopped."""
        restored(self, snapshot)

    def describe(
        self,
        address: Address | None,
        payload_types: frozenset[int],
        *,
        encrypted: bool = False,
        now: float,
    ) -> None:
        """Take what a description says: the peer's address, None for none, and what it may send (empty: nothing).

        `encrypted` says whether keys prove whose the packets are.
        """
        signaller = self._signaller_of()
        self._payload_types = payload_types
        self._candidates.clear()
        if signaller and signaller != self._signaller:
            self._signaller, self._followed = signaller, False
        if address is None:
            self.target = None
        elif address != self._named:
            self._named, self._moved_at = address, now
            self.target, self.behind_nat = address, not is_public(address[0])
            self._locked = self._followed = False
            current = self.current
            self.verified = encrypted or bool(current and self._vouched(current, self._ssrc))
            if self._policy.strict and not self.verified:
                self.current = None
        elif self.target is None:
            self.target = self.current if self.current and self.verified else address

    def heard(self, packet: bytes, now: float) -> None:
        """Note a packet from `current`."""
        self.heard_at, self._ssrc = now, packet[8:_HEADER]
        if self._moved_at is not None and self.verified:
            self._locked = True
            if now - self._moved_at >= SILENT_SECONDS:
                # It named another address and still sends from this one: it is behind a NAT.
                self._move(self.current)

    def admit(self, sender: Address, packet: bytes, now: float) -> bool:
        """Check an unencrypted packet from another address than `current`; follow the address if it is the peer's."""
        header = self._parse(packet)
        if header is None:
            return False
        vouched = self._vouched(sender, header.ssrc)
        if vouched:
            self._lock()
        elif self._locked or self._policy.strict:
            return False
        if sender == self._named:
            self._follow(sender, header.ssrc, now, verified=True)
            return True
        silent = self.current is None or now - self.heard_at >= SILENT_SECONDS
        if not silent and not (vouched and self._moved_at is not None):
            return False
        if silent and vouched and header.ssrc == self._ssrc:
            self._follow(sender, header.ssrc, now, verified=True)
            return True
        return self._try(sender, header, now, verified=vouched)

    def admits_report(self, sender: Address) -> bool:
        """Return whether to take an unencrypted report, which may come from any port of the peer's host."""
        vouched = self._vouched(sender, self._ssrc)
        if vouched:
            self._lock()
        return vouched

    def authenticated(self, sender: Address, packet: bytes, now: float) -> None:
        """Follow the sender of a packet that its key proves to be the peer's."""
        self._follow(sender, packet[8:_HEADER], now, verified=True)

    def _vouched(self, sender: Address, ssrc: bytes) -> bool:
        """Whether signalling vouches for an address, so that packets may be sent to it."""
        host = sender[0]
        if self._named is not None and host == self._named[0]:
            return True
        if host == self._signaller:
            # Behind a NAT the host may be that of others too: the first sender stays, though at another port.
            return not (self.behind_nat and self._followed) or ssrc == self._ssrc
        networks = self._policy.networks
        return bool(networks) and any(ip_address(host) in network for network in networks)

    def _lock(self) -> None:
        """Hear no address any more that is not vouched for."""
        self._locked = True
        if not self.verified:
            self.current = None

    def _parse(self, packet: bytes) -> _Header | None:
        """Return the header of a packet that the peer may send."""
        if len(packet) < _HEADER or packet[0] >> 6 != 2:
            return None
        header = _Header(packet[1] & 0x7F, int.from_bytes(packet[2:4], "big"), packet[8:12])
        return header if header.payload_type in self._payload_types else None

    def _try(self, sender: Address, header: _Header, now: float, *, verified: bool) -> bool:
        candidate = self._candidates.get(sender)
        if candidate is None or (candidate.ssrc, candidate.following) != (
            header.ssrc,
            header.sequence,
        ):
            if candidate is None and len(self._candidates) >= _MAX_CANDIDATES:
                del self._candidates[next(iter(self._candidates))]
            candidate = self._candidates[sender] = _Candidate(header.ssrc, header.sequence, 0)
        candidate.packets += 1
        candidate.following = (header.sequence + 1) & 0xFFFF
        if candidate.packets < PROBATION:
            return False
        self._follow(sender, header.ssrc, now, verified=verified)
        return True

    def _follow(self, sender: Address, ssrc: bytes, now: float, *, verified: bool) -> None:
        self.current, self._ssrc, self.heard_at = sender, ssrc, now
        self.verified = verified
        self._candidates.clear()
        if verified:
            self._locked = True
            self._move(sender)
        else:
            self._on_unverified()

    def _move(self, target: Address | None) -> None:
        self._moved_at, self._followed = None, True
        if self.target is not None:
            self.target = target
