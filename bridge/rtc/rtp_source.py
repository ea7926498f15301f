"""Where a peer's plain RTP comes from, and where ours goes (symmetric RTP, RFC 4961).

A description names the address at which a peer receives; behind a NAT its packets come from another. Unencrypted
packets prove nothing, so an address that the peer did not name is only believed when the one in use is silent, and
after packets that continue each other.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from bridge.rtc.guard import Address

SILENT_SECONDS: Final = 1.0
"""Silence of the address in use before another one is followed."""
PROBATION: Final = 3
"""Packets in sequence before an address that was not named is followed."""
_MAX_CANDIDATES: Final = 8
_HEADER: Final = 12


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

    def __init__(self) -> None:
        self.target: Address | None = None
        """Where to send to; None before a description, and while the peer wants nothing sent."""
        self.current: Address | None = None
        """Where its packets come from; None before the first."""
        self.heard_at = 0.0
        """When the last packet came from there (monotonic seconds)."""
        self._named: Address | None = None
        self._ssrc = b""
        self._payload_types: frozenset[int] = frozenset()
        self._moved_at: float | None = None
        """When a description named another address, until packets show whether the peer is there."""
        self._candidates: dict[Address, _Candidate] = {}

    def describe(
        self, address: Address | None, payload_types: frozenset[int], *, now: float
    ) -> None:
        """Take what a description says: the peer's address, None for none, and what it may send (empty: nothing)."""
        self._payload_types = payload_types
        self._candidates.clear()
        if address is None:
            self.target = None
        elif address != self._named:
            self._moved_at = now
            self.target = address
        elif self.target is None:
            self.target = self.current or address
        self._named = address or self._named

    def heard(self, now: float) -> None:
        """Note a packet from `current`."""
        self.heard_at = now
        if self._moved_at is not None and now - self._moved_at >= SILENT_SECONDS:
            # It named another address and still sends from this one: it is behind a NAT.
            self._moved_at = None
            if self.target is not None:
                self.target = self.current

    def admit(self, sender: Address, packet: bytes, now: float) -> bool:
        """Judge an unencrypted packet from another address than `current`; follow the address if it is the peer's."""
        header = self._parse(packet)
        if header is None:
            return False
        if sender == self._named:
            self._follow(sender, header.ssrc, now)
            return True
        silent = self.current is None or now - self.heard_at >= SILENT_SECONDS
        if not silent and self._moved_at is None:
            return False
        if silent and header.ssrc == self._ssrc:
            self._follow(sender, header.ssrc, now)
            return True
        return self._try(sender, header, now)

    def authenticated(self, sender: Address, now: float) -> None:
        """Follow the sender of a packet that its key proves to be the peer's."""
        self._follow(sender, self._ssrc, now)

    def _parse(self, packet: bytes) -> _Header | None:
        """Return the header of a packet that the peer may send."""
        if len(packet) < _HEADER or packet[0] >> 6 != 2:
            return None
        header = _Header(packet[1] & 0x7F, int.from_bytes(packet[2:4], "big"), packet[8:12])
        return header if header.payload_type in self._payload_types else None

    def _try(self, sender: Address, header: _Header, now: float) -> bool:
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
        self._follow(sender, header.ssrc, now)
        return True

    def _follow(self, sender: Address, ssrc: bytes, now: float) -> None:
        self.current, self._ssrc, self.heard_at = sender, ssrc, now
        self._moved_at = None
        self._candidates.clear()
        if self.target is not None:
            self.target = sender
