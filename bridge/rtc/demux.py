"""Demultiplexing what arrives on a media port by its first byte (RFC 7983).

Floods of STUN are dropped before they are parsed.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aioice import Candidate, Connection
from aioice.ice import StunProtocol
from typing_extensions import override

from bridge.rtc.limits import MAX_CHECKS, MAX_DATAGRAM, Address, CheckBudget
from bridge.rtc.transport_offload import TransportOffload
from bridge.wire.crash_marks import CrashMarks

MAX_STUN: Final = 600
"""Bytes; ICE needs no longer message, as user fragments have at most 256 each."""
_HEADER: Final = 20
_COOKIE: Final = b"\x21\x12\xa4\x42"
_REQUEST, _RESPONSE, _ERROR, _INDICATION = b"\0\x01", b"\x01\x01", b"\x01\x11", b"\0\x11"


class StunFilter:
    """Cheap checks of one socket's STUN datagrams before they are parsed (RFC 8489 §5).

    A check contains our user fragment, a response the transaction id of our request; attackers know
    neither unless they overheard it. Checks from unverified addresses have a budget of their own, which
    all sockets of a node share, so that replays cannot use up that of the peer.
    """

    def __init__(
        self,
        *,
        ufrag: str,
        awaited: Container[bytes],
        verified: Container[Address],
        unverified: CheckBudget,
        discarded: dict[str, int],
        clock: Callable[[], float],
    ) -> None:
        self._username = f"{ufrag}:".encode()  # ours
        self._awaited = awaited
        self._verified = verified
        self._discarded = discarded
        self._clock = clock
        self._unverified = unverified
        self._second_ends = 0.0
        self._left = 0
        """Checks from verified addresses that may still come in this second."""

    def admits(self, data: bytes, sender: Address) -> bool:
        """Return whether to parse a datagram; refused ones are counted."""
        reason = self._refusal(data, sender)
        if reason:
            self._discarded[reason] += 1
        return reason is None

    def _refusal(self, data: bytes, sender: Address) -> str | None:
        """Return the discard reason; "" to ignore the datagram uncounted, None to parse it."""
        size = len(data)
        if not _HEADER <= size <= MAX_STUN or data[4:8] != _COOKIE:
            return "bad_stun"
        if size != _HEADER + (data[2] << 8 | data[3]):
            return "bad_stun"
        kind = data[:2]
        if kind == _REQUEST:
            if self._username not in data:
                return "bad_stun"
            return None if self._within_budget(sender) else "too_many_checks"
        if kind in (_RESPONSE, _ERROR):
            return None if data[8:_HEADER] in self._awaited else "bad_stun"
        if kind == _INDICATION:
            # The peer's only keep paths open (RFC 8445 §11).
            return "" if sender in self._verified else "unknown_source"
        return "bad_stun"

    def _within_budget(self, sender: Address) -> bool:
        now = self._clock()
        if sender not in self._verified:
            return self._unverified.admits(id(self), now)
        if now >= self._second_ends:
            self._second_ends, self._left = now + 1.0, MAX_CHECKS
        self._left -= 1
        return self._left >= 0


class Arrivals(Protocol):
    """What came, as the receivers of one transport note it."""

    @property
    def alive_at(self) -> float:
        """When anything last came that proves the peer alive (monotonic seconds)."""

    @alive_at.setter
    def alive_at(self, now: float) -> None: ...

    def admit(self, now: float) -> bool:
        """Count an authentic packet; return whether the second has room for it."""


@dataclass(slots=True)
class ArrivalCounter:
    """`Arrivals` without the packet path."""

    limit: int
    """Packets of a second."""
    alive_at: float = 0.0
    _second_ends: float = 0.0
    _allowed: int = 0

    def admit(self, now: float) -> bool:
        """Count an authentic packet; return whether the second has room for it."""
        self.alive_at = now
        if now >= self._second_ends:
            self._second_ends, self._allowed = now + 1.0, self.limit
        self._allowed -= 1
        return self._allowed >= 0


@dataclass(slots=True)
class Inbound:
    """What all connections of a link to one peer receive into."""

    on_media: Callable[[bytes], None]
    """Takes each SRTP and SRTCP packet from a verified address."""
    on_dtls: Callable[[bytes], None]
    """Takes each DTLS record, likewise."""
    discarded: dict[str, int]
    """Counts by discard reason."""
    unverified: CheckBudget
    """Of checks from unverified addresses; the node's."""
    arrivals: Arrivals
    offload: TransportOffload | None = None
    """Of the compiled packet path, which receives for all sockets."""
    on_route: Callable[[], None] = lambda: None
    """Called when the route of a connection has changed."""
    marks: CrashMarks = field(default_factory=CrashMarks)
    """Where it is noted that a datagram is being processed, by what receives in Python."""


class MediaSocket(StunProtocol):
    """One UDP socket; everything that is not from the peer is dropped and counted.

    `verified` has the peer's addresses; `on_stun` takes each STUN message that passed the filter, its
    sender and this socket.
    """

    def __init__(
        self,
        connection: Connection,
        candidate: Candidate,
        inbound: Inbound,
        *,
        verified: Container[Address],
        on_stun: Callable[[bytes, Address, StunProtocol], None],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(connection)
        self.local_candidate = candidate
        self._verified = verified
        self._discarded = inbound.discarded
        self._on_stun = on_stun
        self._on_dtls = inbound.on_dtls
        self._on_media = inbound.on_media
        self._filter = StunFilter(
            ufrag=connection.local_username,
            awaited=self.transactions,
            verified=verified,
            unverified=inbound.unverified,
            discarded=inbound.discarded,
            clock=clock,
        )

    @override
    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        assert isinstance(data, bytes)
        size = len(data)
        if not 0 < size <= MAX_DATAGRAM:
            self._discarded["oversized" if size else "empty"] += 1
            return
        sender = addr if len(addr) == 2 else addr[:2]
        first = data[0]
        if 127 < first < 192 and sender in self._verified:
            take = self._on_media
            take(data)
        elif first < 4:
            if self._filter.admits(data, sender):
                self._on_stun(data, sender, self)
        elif sender not in self._verified:
            self._discarded["unknown_source"] += 1
        elif 19 < first < 64:
            self._on_dtls(data)
        else:
            self._discarded["unknown_kind"] += 1
