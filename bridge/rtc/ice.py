"""One ICE connection on one UDP port: aioice's, with a guarded, synchronous receive path.

Unlike in aioice, media passes no queue or task; malformed and unauthenticated STUN is counted, not
logged or answered; sockets come from the port pool; consent (RFC 7675) works over round trips longer
than half a second, and everything authenticated refreshes it.
"""

import asyncio
import secrets
import string
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from aioice import Candidate, Connection, TransportPolicy, stun
from aioice.candidate import candidate_priority
from aioice.ice import CandidatePair, StunProtocol
from typing_extensions import override

from bridge.errors import LegError
from bridge.rtc import private_api, trace
from bridge.rtc.config import Timeouts
from bridge.rtc.demux import Inbound, MediaSocket
from bridge.rtc.limits import (
    MAX_LITE_CANDIDATES,
    MAX_PAIRS,
    Address,
    VerifiedAddresses,
    may_probe,
)
from bridge.rtc.ports import PortPool
from bridge.rtc.udp_socket import UdpSocket, after_backlog, read_by_the_loop
from bridge.wire.sdp.description import RemoteAudio

if TYPE_CHECKING:
    import socket

    from bridge.wire.sdp.transport import Candidate as Offered

_LETTERS: Final = string.ascii_letters + string.digits
_UFRAG_LENGTH: Final = 8
_PASSWORD_LENGTH: Final = 24
_CONSENT_CHECKS_KEPT: Final = 8
_EARLY_SECONDS: Final = 0.002
"""So early a consent check counts as due: timers are no more precise, and waking again costs more."""
_MAX_PREFERENCE: Final = 65535
_ROLE_CONFLICT: Final = 487
_MAX_CONFLICTS: Final = 8


class ConsentCheck(stun.Transaction):
    """A pending consent check, whose response is accepted however late it comes."""

    @override
    def response_received(self, message: stun.Message, addr: Address) -> None:
        """Do nothing: the socket has recorded that the peer is alive."""


class IceConnection(Connection):
    """A full ICE agent for one component on the host candidates of one port.

    It is controlling when we offer or the peer is ice-lite; `on_lost` is called when consent expires.
    """

    def __init__(
        self,
        inbound: Inbound,
        *,
        controlling: bool,
        on_lost: Callable[["IceConnection"], None],
        timeouts: Timeouts,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(
            ice_controlling=controlling,
            # Keeps aioice from gathering: `get_component_candidates` does.
            transport_policy=TransportPolicy.RELAY,
            local_username=_token(_UFRAG_LENGTH),
            local_password=_token(_PASSWORD_LENGTH),
        )
        self.route: tuple[asyncio.DatagramTransport, Address] | None = None
        """Socket and address of the nominated pair."""
        self.checks_received = 0
        """Authentic checks of the peer."""
        self.responses_received = 0
        """Authentic responses to ours."""
        self.public_candidates = False
        """Whether the peer has offered a public address."""
        self.verified = VerifiedAddresses(self._evict)
        """The peer's addresses."""
        self._inbound = inbound
        self._on_lost = on_lost
        self._timeouts = timeouts
        self._clock = clock
        self.described = asyncio.Event()
        """Set once the peer's credentials are known, or never will be."""
        self._unprobed: tuple[Offered, ...] = ()
        self._conflicts = 0
        self._pool: PortPool | None = None
        self._port = 0
        self._bound: deque[socket.socket] = deque()
        self._sockets: list[UdpSocket] = []
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
        peer sends none, so it is probed at once, at few addresses. `probe_private` lifts all of that.
        """
        self.remote_username, self.remote_password = peer.ufrag, peer.pwd
        self.remote_is_lite = peer.ice_lite
        self.described.set()
        self.public_candidates = any(
            may_probe(one.host, one.port, private=False) for one in peer.candidates
        )
        allowed = tuple(
            one
            for one in peer.candidates
            if one.component == 1 and may_probe(one.host, one.port, private=probe_private)
        )
        few = peer.ice_lite and not probe_private
        self._unprobed = allowed[:MAX_LITE_CANDIDATES] if few else allowed
        if probe_private or peer.ice_lite or self.verified.addresses:
            self._probe()

    def listen(
        self, sockets: "Sequence[socket.socket]", candidates: Sequence[Candidate], pool: PortPool
    ) -> None:
        """Receive on sockets that another process has bound, each that of a candidate.

        Raises:
            LegError: the system refuses to poll one; all are the caller's.
        """
        try:
            for sock, candidate in zip(sockets, candidates, strict=True):
                self._listen(sock, candidate, inherited=True)
        except LegError:
            while self._sockets:
                self._sockets.pop().release()
            raise
        self._port, self._pool = candidates[0].port, pool
        pool.adopt(self._port)

    def suspend(self) -> "list[socket.socket]":
        """Neither read nor send until `resume`; return the sockets, which stay this connection's."""
        private_api.stop_consent(self)
        for one in self._sockets:
            one.pause()
        return [one.sock for one in self._sockets]

    def resume(self) -> None:
        """Go on after `suspend`."""
        for one in self._sockets:
            one.resume()
        private_api.start_consent(self)

    def failure_reason(self) -> str:
        """Return why no pair was nominated."""
        if not self.checks_received and not self.responses_received:
            return "nothing_received"
        states = {pair.state for pair in private_api.pairs(self)}
        return "not_nominated" if CandidatePair.State.SUCCEEDED in states else "checks_unanswered"

    @override
    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        found: list[Candidate] = []
        while self._bound:
            host, port = self._bound[0].getsockname()[:2]
            priority = candidate_priority(component, "host", _MAX_PREFERENCE - len(found))
            foundation = str(len(found) + 1)
            candidate = Candidate(foundation, component, "udp", priority, host, port, "host")
            self._listen(self._bound[0], candidate)
            self._bound.popleft()
            found.append(candidate)
        return found

    def _listen(
        self, sock: "socket.socket", candidate: Candidate, *, inherited: bool = False
    ) -> None:
        inbound = self._inbound
        protocol = MediaSocket(
            self,
            candidate,
            inbound,
            verified=self.verified.addresses,
            on_stun=self._stun_received,
            clock=self._clock,
        )
        if inbound.offload is not None:
            made = inbound.offload.listen(sock, protocol, inherited=inherited)
        else:
            by_the_loop = partial(read_by_the_loop, marks=inbound.marks)
            read = after_backlog(by_the_loop, inbound.marks) if inherited else by_the_loop
            made = UdpSocket(sock, protocol, discarded=inbound.discarded, read=read)
        self._sockets.append(made)
        private_api.protocols(self).append(protocol)

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
            fields = {"remote": chosen.remote_candidate.type, "changed": before is not None}
            fields |= trace.address_kind(chosen.remote_addr[0])
            trace.log.debug("ice.pair_chosen", extra=fields)
            self._inbound.on_route()

    @override
    async def query_consent(self) -> None:
        due = self._clock() + self._consent_interval()
        while True:
            now = self._clock()
            gone = self._inbound.arrivals.alive_at + self._timeouts.peer_timeout
            if now >= gone:
                self._on_lost(self)
                return
            if now >= due - _EARLY_SECONDS:
                self._send_consent_check()
                due = now + self._consent_interval()
            await asyncio.sleep(min(due, gone) - now)

    @override
    async def close(self) -> None:
        self.route = None
        self._inbound.on_route()
        self.described.set()
        try:
            await super().close()
        finally:
            for one in self._sockets:
                one.close()
            while self._bound:
                self._bound.popleft().close()
            if self._pool is not None:
                self._pool.release(self._port)
                self._pool = None

    def _stun_received(self, data: bytes, sender: Address, socket: StunProtocol) -> None:
        try:
            message = stun.parse_message(data)
        except Exception:  # aioice's parser raises more than ValueError
            self._inbound.discarded["bad_stun"] += 1
            return
        if message.message_class == stun.Class.REQUEST:
            if not self._is_check(message):
                self._inbound.discarded["bad_stun"] += 1
            elif self._admit(sender):
                self.checks_received += 1
                self.request_received(message, sender, socket)
            return
        transaction = socket.transactions.get(message.transaction_id)
        password = self.remote_password
        if (
            transaction is None
            or password is None
            or not message.check_message_integrity(password.encode())
        ):
            self._inbound.discarded["bad_stun"] += 1
        elif self._admit(sender):
            # Unlike a request, a response cannot be a replay, so it proves the peer alive.
            self._inbound.arrivals.alive_at = self._clock()
            self.responses_received += 1
            self._limit_conflicts(message)
            transaction.response_received(message, sender)

    def _is_check(self, message: stun.Message) -> bool:
        ours, _, theirs = message.attributes.get("USERNAME", "").partition(":")
        return (
            "PRIORITY" in message.attributes
            and ours == self.local_username
            and self.remote_username in (None, theirs)
            and message.check_message_integrity(self.local_password.encode())
        )

    def _admit(self, sender: Address) -> bool:
        """Record an address that sent an authentic message; count it if there are too many."""
        first = not self.verified.addresses
        keep = self.route[1] if self.route else None
        if not self.verified.admit(sender, keep=keep, now=self._clock()):
            self._inbound.discarded["too_many_addresses"] += 1
            return False
        if first:
            trace.log.debug("ice.first_check", extra=trace.address_kind(sender[0]))
            self._probe()
        return True

    def _limit_conflicts(self, message: stun.Message) -> None:
        """Turn a role conflict (487) into a plain error when there were too many.

        aioice answers each with another check at once, recursively.
        """
        if message.error_code == _ROLE_CONFLICT:
            self._conflicts += 1
            if self._conflicts > _MAX_CONFLICTS:
                message.attributes["ERROR-CODE"] = (400, "")

    def _probe(self) -> None:
        """Start checks of the offered candidates, in the peer's order, up to `MAX_PAIRS`."""
        room = MAX_PAIRS
        trace.log.debug("ice.probing", extra={"candidates": len(self._unprobed)})
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
        minimum, maximum = self._timeouts.consent
        return minimum + (maximum - minimum) * secrets.randbelow(1000) / 1000

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
