"""One DTLS association, with ICE below and SRTP above: what a reloaded page replaces."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bridge.call.leg_state import IceStage, TransportState
from bridge.call.setup_timings import SetupClock
from bridge.errors import HandoverRefused, NegotiationFailed
from bridge.rtc import trace
from bridge.rtc.config import PeerConfig
from bridge.rtc.dtls import Certificate, Dtls, PassedDtls
from bridge.rtc.ice import IceConnection
from bridge.rtc.limits import MAX_PACKETS
from bridge.rtc.link import IceLink
from bridge.rtc.srtp import NO_CALL, Srtp
from bridge.rtp.config import drop
from bridge.rtp.session import RtpSession
from bridge.wire.sdp.description import RemoteAudio, answer_setup
from bridge.wire.sdp.transport import Candidate
from bridge.wire.snapshot.peer import TransportSnapshot

if TYPE_CHECKING:
    from bridge.rtc.transport_offload import TransportOffload

_MIN_PACKET: Final = 12
_HANDSHAKE_SECONDS: Final = 2.0
"""After which the peer has the end of the handshake, even if it had to be sent again."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Duration of set-up; 0 until it is done."""

    ice_seconds: float = 0.0
    dtls_seconds: float = 0.0


class Transport:
    """Carries the session's packets to and from one page of the peer.

    `on_lost` is called with the transport when an established association ends, and whether it was
    `closed` by the peer or `consent_lost`; `on_restarted` as `IceLink` does. `discarded` counts by
    discard reason, `setup` notes the steps that are done.
    """

    def __init__(  # noqa: PLR0913 - keyword only
        self,
        *,
        config: PeerConfig,
        certificate: Certificate,
        session: RtpSession,
        setup: SetupClock,
        on_lost: Callable[["Transport", str], None],
        on_restarted: Callable[[bool], None],
        discarded: dict[str, int],
    ) -> None:
        self.certificate = certificate
        self.role: Literal["client", "server"] = "client"
        """In DTLS, once the peer is described."""
        self.fingerprint = ""
        """SHA-256 of the peer's certificate, likewise; empty before."""
        self.timings = Timings()
        self._failure = ""
        self._ice_up = False
        """Whether a pair was nominated once."""
        self._config = config
        self._session = session
        self._setup = setup
        self._receive_rtp: Callable[[bytes, float], None] = self._receive_first
        self._receive_rtcp = session.receive_rtcp
        self._filter = session.filter
        self._audio_types = session.filter.audio_types
        self._discarded = discarded
        self._clock = config.timeouts.clock
        self._srtp: Srtp | None = None
        self._on_lost = on_lost
        self._offload: TransportOffload | None = None
        if config.packet_path is not None:
            self._offload = config.packet_path.transport(
                receive=lambda packet, now: self._receive_rtp(packet, now),
                discarded=discarded,
                limit=MAX_PACKETS,
            )
        self._link = IceLink(
            config,
            discarded=discarded,
            offload=self._offload,
            on_media=self._media_received,
            on_lost=lambda reason: on_lost(self, reason),
            on_restarted=on_restarted,
        )
        self._connections = self._link.connections
        self._arrivals = self._link.inbound.arrivals
        self._dtls: Dtls | PassedDtls | None = None
        self._keys_at = 0.0
        """When the keys were agreed (monotonic seconds)."""

    @property
    def credentials(self) -> tuple[str | None, str | None]:
        """The peer's ICE user fragment and password on the newest connection."""
        return self.local.remote_username, self.local.remote_password

    @property
    def local(self) -> IceConnection:
        """The newest ICE connection, the one to describe."""
        connection = self._connections.newest
        assert connection is not None
        return connection

    def candidates(self) -> tuple[Candidate, ...]:
        """Return our candidates, the default first."""
        external = self._config.external_address
        found: dict[tuple[str, int], Candidate] = {}
        for own in self.local.local_candidates:
            host = external if external and (":" in external) == (":" in own.host) else own.host
            key = host, own.port
            found.setdefault(
                key, Candidate(own.foundation, 1, "udp", own.priority, *key, type="host")
            )
        return tuple(found.values())

    async def prepare(self, offer: RemoteAudio | None) -> None:
        """Open a port; parameters and errors are those of `IceLink.prepare`."""
        await self._link.prepare(offer)
        if offer is not None:
            self._prepare_dtls(offer)

    def set_remote(self, answer: RemoteAudio) -> None:
        """Take the peer's answer to our offer."""
        self._link.set_remote(answer)
        self._prepare_dtls(answer)

    def state(self) -> TransportState:
        """Return how far the set-up is, or came."""
        local = self._connections.latest
        if local is None:
            return TransportState()
        if self._offload is not None:
            self._offload.count_unsendable()
        described = local.remote_username is not None
        waits: IceStage = "failed" if self._failure else "checking" if described else "new"
        return TransportState(
            described=described,
            ice="connected" if self._ice_up else waits,
            dtls="connected" if self._srtp is not None else waits if self._ice_up else "new",
            failure=self._failure,
            checks_received=local.checks_received,
            responses_received=local.responses_received,
            public_candidates=local.public_candidates,
        )

    async def connect(self) -> None:
        """Bring up ICE, once the peer is described, then DTLS.

        Raises:
            NegotiationFailed: either failed or timed out.
        """
        timeouts = self._config.timeouts
        stage, begun = "ice", self._clock()
        try:
            async with asyncio.timeout(timeouts.setup):
                await self._connections.connect()
                ice_seconds = self._clock() - begun
                stage, begun = "dtls", self._clock()
                self._ice_up = True
                self._setup.note("ice", begun)
                dtls = self._dtls
                assert isinstance(dtls, Dtls), "the peer has not been described"
                async with asyncio.timeout(timeouts.dtls):
                    self._srtp = await dtls.connect(self.fingerprint)
                self._keys_at = self._clock()
                self.timings = Timings(ice_seconds, self._keys_at - begun)
                if self._offload is not None:
                    self._offload.set_keys(self._srtp)
                self._setup.note("dtls", self._keys_at)
        except TimeoutError:
            self._failure = "timeout"
            raise NegotiationFailed(
                f"{stage.upper()} did not finish in time", stage=stage, reason="timeout"
            ) from None
        except NegotiationFailed as error:
            self._failure = error.reason
            raise

    def activate(self) -> None:
        """Send the session's packets from now on."""
        if self._srtp is not None:
            self._srtp.note_in(self._session.used)
        self._session.set_transmit(self._send_first, self.send_rtcp, self._offload)

    def suspend(self) -> tuple[TransportSnapshot, list[socket.socket]]:
        """Stop reading and sending; return what another transport goes on with, and the sockets, which stay this one's.

        Raises:
            HandoverRefused: it cannot be passed on now; it goes on.
        """
        srtp, dtls, session = self._srtp, self._dtls, self._session
        if srtp is None or dtls is None or not self._connections.stable:
            raise HandoverRefused("ICE or DTLS of a leg is not established")
        if session.heard is None and self._clock() - self._keys_at < _HANDSHAKE_SECONDS:
            raise HandoverRefused("the peer of a leg may not have finished the DTLS handshake")
        session.set_transmit(drop, drop)  # ends the offloads, while they still have their route
        ice, sockets = self._link.suspend()
        try:
            keys = srtp.snapshot(session.sent, session.heard)
        except HandoverRefused:
            self.resume()
            raise
        snapshot = TransportSnapshot(
            role=self.role,
            fingerprint=self.fingerprint,
            own_fingerprint=self.certificate.fingerprint,
            ice_seconds=self.timings.ice_seconds,
            dtls_seconds=self.timings.dtls_seconds,
            alive_at=self._arrivals.alive_at,
            ice=ice,
            srtp=keys,
            dtls=dtls.snapshot(),
        )
        return snapshot, sockets

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._link.resume()
        self.activate()

    def restore(self, snapshot: TransportSnapshot, sockets: Sequence[socket.socket]) -> None:
        """Go on in a new transport, whose certificate has the old one's fingerprint; the sockets are its own.

        Raises:
            HandoverRefused: it cannot; the sockets are the caller's.
        """
        self._srtp = srtp = Srtp.restored(snapshot.srtp)
        self.role, self.fingerprint = snapshot.role, snapshot.fingerprint
        self.timings = Timings(snapshot.ice_seconds, snapshot.dtls_seconds)
        self._ice_up = True
        self._dtls = passed = PassedDtls(
            self._link,
            snapshot.dtls,
            role=self.role,
            on_closed=lambda: self._on_lost(self, "closed"),
        )
        self._link.inbound.on_dtls = passed.receive
        self._arrivals.alive_at = snapshot.alive_at
        if self._offload is not None:
            self._offload.set_keys(srtp)
        self._link.restore(snapshot.ice, sockets)
        self.activate()

    def warm_up(self) -> None:
        """Do with keys of zeros once what takes long the first time, such as to parse the types of libsrtp; then close it."""
        self._srtp = srtp = Srtp.restored(NO_CALL)
        if self._offload is not None:
            self._offload.set_keys(srtp)
        self.activate()
        srtp.protect_rtcp(b"\x80\xc9\0\1" + bytes(4))

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send an RTP packet; count it as `unsendable` if that fails."""
        # Inlines `IceLink.send`: one call less per packet.
        srtp, current = self._srtp, self._connections.current
        route = None if current is None else current.route
        if srtp is not None and route is not None:
            protected = srtp.protect(packet)
            if protected is not None:
                sender, address = route
                sender.sendto(protected, address)
                return
        self._discarded["unsendable"] += 1

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send a compound RTCP packet; count it likewise."""
        srtp = self._srtp
        protected = None if srtp is None else srtp.protect_rtcp(packet)
        if protected is None or not self._link.send(protected):
            self._discarded["unsendable"] += 1

    async def aclose(self) -> None:
        """Send close_notify, close every socket and release every port; safe to repeat."""
        self._srtp = None
        if self._offload is not None:
            self._offload.close()
        try:
            if self._dtls is not None:
                await self._dtls.aclose()
        finally:
            await self._link.aclose()

    def _send_first(self, packet: bytes) -> None:
        """Send the first packet; `send_rtp` takes all others."""
        self._session.set_transmit(self.send_rtp, self.send_rtcp, self._offload)
        self._setup.note("first_sent", self._clock())
        trace.log.debug("rtp.first_sent")
        self.send_rtp(packet)

    def _receive_first(self, packet: bytes, now: float) -> None:
        """Receive the first packet; the session takes all others."""
        self._receive_rtp = self._session.receive_rtp
        self._setup.note("first_received", now)
        trace.log.debug("rtp.first_received")
        self._receive_rtp(packet, now)

    def _prepare_dtls(self, peer: RemoteAudio) -> None:
        """Prepare the handshake; an ICE restart keeps the association."""
        if self._dtls is None:
            self.role = "client" if answer_setup(peer.setup) == "active" else "server"
            self.fingerprint = peer.fingerprint
            self._dtls = Dtls(
                self._link,
                self.certificate,
                role=self.role,
                on_closed=lambda: self._on_lost(self, "closed"),
            )

    def _media_received(self, data: bytes) -> None:
        srtp = self._srtp
        if srtp is None or len(data) < _MIN_PACKET:
            self._discarded["bad_srtp" if srtp else "early_media"] += 1
            return
        # Callables are looked up first: calling an attribute that is not a method is slow.
        receive = self._receive_rtp
        if self._audio_types[data[1]]:
            plain = srtp.unprotect(data)
        elif 191 < data[1] < 224:  # RFC 5761 §4
            plain, receive = srtp.unprotect_rtcp(data), self._receive_rtcp
        elif self._filter.ignores(data):
            return
        else:
            plain = srtp.unprotect(data)
        if not isinstance(plain, bytes):
            self._discarded[plain.value] += 1
            return
        clock = self._clock
        now = clock()
        if not self._arrivals.admit(now):
            self._discarded["too_many_packets"] += 1
            return
        receive(plain, now)
