"""One ICE connection on one UDP port: aioice's, with a guarded, synchronous receive path.

Unlike in aioice, media passes no queue or task; malformed and unauthenticated STUN is counted, not
logged or answered; sockets come from the port pool; consent (RFC 7675) works over round trips longer
than half a second, and everything authenticated refreshes it.
"""

import asyncio
import secrets
import string
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from aioice import Candidate, Connection, TransportPolicy, stun
from aioice.candidate import candidate_priority
from aioice.ice import CandidatePair, StunProtocol
from typing_extensions import override

from bridge.rtc import private_api, trace
from bridge.rtc.config import Timeouts
from bridge.rtc.demux import MediaSocket
from bridge.rtc.guard import (
    MAX_LITE_CANDIDATES,
    MAX_PAIRS,
    Address,
    VerifiedAddresses,
    may_probe,
)
from bridge.rtc.ports import PortPool
from bridge.wire.sdp import RemoteAudio

if TYPE_CHECKING:
    import socket

    from bridge.wire.sdp_transport import Candidate as Offered

_LETTERS: Final = string.ascii_letters + string.digits
_UFRAG_LENGTH: Final = 8
_PASSWORD_LENGTH: Final = 24
_CONSENT_CHECKS_KEPT: Final = 8
_MAX_PREFERENCE: Final = 65535
_ROLE_CONFLICT: Final = 487
_MAX_CONFLICTS: Final = 8


class Owner(Protocol):
    """Receives what a connection demultiplexes."""

    alive_at: float
    """When anything last came that proves the peer alive (monotonic seconds)."""
    discarded: dict[str, int]
    on_media: Callable[[bytes], None]

    def dtls_received(self, data: bytes) -> None:
        """Process a DTLS record."""
        ...

    def consent_lost(self, connection: "IceConnection") -> None:
        """Report that the peer is gone."""
        ...


class ConsentCheck(stun.Transaction):
    """A pending consent check, whose response is accepted however late it comes."""

    @override
    def response_received(self, message: stun.Message, addr: Address) -> None:
        """Do nothing: the socket has recorded that the peer is alive."""


class IceConnection(Connection):
    """A full ICE agent for one component on the host candidates of one port.

    Args:
        owner: Receives what arrives.
        controlling: True when we offer, or the peer is ice-lite.
        timeouts: Of consent.
        clock: Monotonic seconds.
    """

    def __init__(
        self, owner: Owner, *, controlling: bool, timeouts: Timeouts, clock: Callable[[], float]
    ) -> None:
        super().__init__(
            ice_controlling=controlling,
            # Keeps aioice from gathering: `get_component_candidates` does.
            transport_policy=TransportPolicy.RELAY,
            local_username=_token(_UFRAG_LENGTH),
            local_password=_token(_PASSWORD_LENGTH),
        )
        self.owner = owner
        self.verified = VerifiedAddresses(self._evict)
        self.route: tuple[asyncio.DatagramTransport, Address] | None = None
        """Socket and address of the nominated pair."""
        self.check_received = False
        """Whether an authentic check has come from the peer."""
        self._unprobed: tuple[Offered, ...] = ()
        self._conflicts = 0
        self._timeouts = timeouts
        self.clock = clock
        self._pool: PortPool | None = None
        self._port = 0
        self._bound: deque[socket.socket] = deque()
        self._consent_checks: deque[tuple[dict[bytes, stun.Transaction], bytes]] = deque()

    async def open(self, addresses: tuple[str, ...], pool: PortPool) -> None:
        """Bind one port of the pool on every address; `close` releases it.

        Raises:
            LimitExceeded: no port is free.
            LegError: an address cannot be bound.
        """
        self._port, sockets = pool.open(addresses)
        self._pool = pool
        self._bound.extend(sockets)
        await self.gather_candidates()

    def set_remote(self, peer: RemoteAudio, *, probe_private: bool) -> None:
        """Set the peer's credentials, and the candidates that may be probed.

        They are probed once the peer has sent a check, so that an offer alone cannot make us send to
        addresses of its choice; the peer's checks are answered and paired in any case. An ICE-lite
        peer sends none, so it is probed at once, at few addresses.

        Args:
            peer: Its description.
            probe_private: Whether to probe private addresses too, and all of them at once.
        """
        self.remote_username, self.remote_password = peer.ufrag, peer.pwd
        self.remote_is_lite = peer.ice_lite
        allowed = tuple(
            one
            for one in peer.candidates
            if one.component == 1 and may_probe(one.host, one.port, private=probe_private)
        )
        few = peer.ice_lite and not probe_private
        self._unprobed = allowed[:MAX_LITE_CANDIDATES] if few else allowed
        if probe_private or peer.ice_lite or self.check_received:
            self._probe()

    def is_authentic(
        self, message: stun.Message, transactions: dict[bytes, stun.Transaction]
    ) -> bool:
        """Return whether a message is an authentic check or response of the peer."""
        if message.message_class == stun.Class.REQUEST:
            attributes = message.attributes
            return (
                "PRIORITY" in attributes
                and self._is_for_us(attributes.get("USERNAME", ""))
                and message.check_message_integrity(self.local_password.encode())
            )
        return (
            message.transaction_id in transactions
            and self.remote_password is not None
            and message.check_message_integrity(self.remote_password.encode())
        )

    def admit(self, sender: Address, *, alive: bool) -> bool:
        """Record an address that sent an authentic message; return False if there are too many.

        Args:
            sender: The address.
            alive: Whether the message proves the peer alive; a request may be replayed.
        """
        now = self.clock()
        keep = self.route[1] if self.route else None
        if not self.verified.admit(sender, keep=keep, now=now):
            return False
        if not self.check_received:
            self.check_received = True
            trace.first_check(sender[0])
            self._probe()
        if alive:
            self.owner.alive_at = now
        return True

    def limit_conflicts(self, message: stun.Message) -> None:
        """Turn a role conflict (487) into a plain error when there were too many.

        aioice answers each with another check at once, recursively.
        """
        if message.error_code == _ROLE_CONFLICT:
            self._conflicts += 1
            if self._conflicts > _MAX_CONFLICTS:
                message.attributes["ERROR-CODE"] = (400, "")

    def failure_reason(self) -> str:
        """Return why no pair was nominated."""
        if not self.check_received:
            return "nothing_received"
        states = {pair.state for pair in private_api.pairs(self)}
        return "not_nominated" if CandidatePair.State.SUCCEEDED in states else "checks_unanswered"

    @override
    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        loop = asyncio.get_running_loop()
        found: list[Candidate] = []
        while self._bound:
            sock = self._bound.popleft()
            host, port = sock.getsockname()[:2]
            priority = candidate_priority(component, "host", _MAX_PREFERENCE - len(found))
            foundation = str(len(found) + 1)
            candidate = Candidate(foundation, component, "udp", priority, host, port, "host")
            protocol = MediaSocket(self, candidate)
            await loop.create_datagram_endpoint(lambda made=protocol: made, sock=sock)  # type: ignore[misc]
            private_api.protocols(self).append(protocol)
            found.append(candidate)
        return found

    @override
    def check_incoming(
        self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol
    ) -> None:
        # On completion aioice cancels running checks but leaves their pairs in progress, so the peer
        # could never switch to one of them.
        for pair in private_api.pairs(self):
            if pair.task is not None and pair.task.done():
                pair.task = None
                if pair.state == CandidatePair.State.IN_PROGRESS:
                    pair.state = CandidatePair.State.FAILED
        super().check_incoming(message, addr, protocol)

    @override
    def check_complete(self, pair: CandidatePair) -> None:
        super().check_complete(pair)
        chosen = private_api.nominated(self)
        if chosen is None:
            return
        before, self.route = self.route, (chosen.protocol.transport, chosen.remote_addr)
        if self.route != before:
            trace.pair_chosen(
                remote_type=chosen.remote_candidate.type,
                host=chosen.remote_addr[0],
                changed=before is not None,
            )

    @override
    async def query_consent(self) -> None:
        due = self.clock() + self._consent_interval()
        while True:
            now = self.clock()
            gone = self.owner.alive_at + self._timeouts.silence
            if now >= gone:
                self.owner.consent_lost(self)
                return
            if now >= due:
                self._send_consent_check()
                due = now + self._consent_interval()
            await asyncio.sleep(min(due, gone) - now)

    @override
    async def close(self) -> None:
        self.route = None
        sockets = [*private_api.protocols(self)]
        try:
            await super().close()
        finally:
            for protocol in sockets:
                protocol.transport.close()
            while self._bound:
                self._bound.popleft().close()
            if self._pool is not None:
                self._pool.release(self._port)
                self._pool = None

    def _is_for_us(self, username: str) -> bool:
        ours, _, theirs = username.partition(":")
        return ours == self.local_username and self.remote_username in (None, theirs)

    def _probe(self) -> None:
        """Start checks of the offered candidates, in the peer's order, up to `MAX_PAIRS`."""
        room = MAX_PAIRS
        trace.probing(len(self._unprobed))
        for offered in self._unprobed:
            six = ":" in offered.host
            room -= sum((":" in own.host) == six for own in self.local_candidates)
            if room < 0:
                break
            # Only the address matters; aioice rejects peer-reflexive offers.
            kind = offered.type if offered.type in ("srflx", "relay") else "host"
            candidate = Candidate(
                offered.foundation, 1, "udp", offered.priority, offered.host, offered.port, kind
            )
            private_api.add_remote_candidate(self, candidate)
        self._unprobed = ()

    def _evict(self, address: Address) -> None:
        checks = private_api.pairs(self)
        for pair in [pair for pair in checks if pair.remote_addr == address]:
            if pair.task is not None:
                pair.task.cancel()
            checks.remove(pair)
        learned = private_api.remote_candidates(self)
        learned[:] = [one for one in learned if (one.host, one.port) != address]

    def _consent_interval(self) -> float:
        shortest, longest = self._timeouts.consent
        return shortest + (longest - shortest) * secrets.randbelow(1000) / 1000

    def _send_consent_check(self) -> None:
        pair = private_api.nominated(self)
        if pair is None or self.remote_password is None:
            return
        request = self.build_request(pair, nominate=False)
        request.add_message_integrity(self.remote_password.encode())
        waiting = pair.protocol.transactions
        waiting[request.transaction_id] = ConsentCheck(request, pair.remote_addr, pair.protocol)
        self._consent_checks.append((waiting, request.transaction_id))
        if len(self._consent_checks) > _CONSENT_CHECKS_KEPT:
            table, oldest = self._consent_checks.popleft()
            table.pop(oldest, None)
        pair.protocol.send_stun(request, pair.remote_addr)


def _token(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
