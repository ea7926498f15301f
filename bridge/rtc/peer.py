"""One WebRTC peer: its descriptions, its transport, its RTP session.

A peer outlives the connections below it. A new ICE user fragment restarts ICE under the same keys;
the same one renegotiates; another fingerprint means a reloaded page, which gets a transport and
streams of its own, while the session, its statistics and its place on the bus stay.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from bridge.audio.codec.codec import OPUS
from bridge.audio.codec.opus import Opus
from bridge.call.leg_state import TransportState
from bridge.call.model import LegStatistics
from bridge.call.setup_timings import SetupClock
from bridge.errors import HandoverRefused, InvalidState
from bridge.rtc import trace
from bridge.rtc.config import PeerConfig, Reload, new_start
from bridge.rtc.dtls import Certificate, Certificates
from bridge.rtc.limits import DISCARD_REASONS
from bridge.rtc.switchover import Switchover
from bridge.rtc.transport import Timings, Transport
from bridge.rtp.session import RtpSession
from bridge.wire.sdp.description import LocalAudio, RemoteAudio
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from bridge.wire.sdp.offer import EXPECTED, parse_answer
from bridge.wire.snapshot.peer import PeerSnapshot, restore_counts

Reoffer: TypeAlias = Literal["restart", "renegotiate", "reload"]


class Peer:
    """The other end of a WebRTC connection, from the first offer to its end.

    Either it offers (`create_answer`, later `reoffer`), or we do (`create_offer`, `set_answer`, again and again).
    `on_restart` is called at the end of each ICE restart with whether it succeeded.
    """

    def __init__(
        self,
        *,
        config: PeerConfig,
        certificates: Certificates,
        opus: Opus,
        on_digit: Callable[[str], None],
        on_restart: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._certificates = certificates
        self._opus = opus
        self._on_digit = on_digit
        self._on_restart = on_restart
        self._clock = config.timeouts.clock
        self.setup = SetupClock(self._clock())
        """When the steps of the leg's set-up were done."""
        self._discarded = dict.fromkeys(DISCARD_REASONS, 0)
        self._session: RtpSession | None = None
        self._transports: Switchover[Transport] = Switchover(
            stage="dtls",
            connect=Transport.connect,
            close=Transport.aclose,
            on_switch=self._switched,
            on_failure=self._failed,
            on_lost=self._end,
        )
        self._reload: Reload | None = None
        self._offered: Transport | None = None
        """What the last offer of ours describes, until it is answered."""
        self._cname = secrets.token_hex(8)
        self._session_id = secrets.randbits(62)
        self._session_version = 0
        self._negotiating = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self.suspended = False
        """Whether another process may go on with it; nothing is sent then, not even by `aclose`."""
        self._over = asyncio.Event()
        self._reason = ""

    @property
    def session(self) -> RtpSession:
        """The RTP session, the same for the peer's whole life.

        It exists after `set_remote`, `create_answer`, `expect_answer` or `create_offer`.
        """
        assert self._session is not None
        return self._session

    @property
    def timings(self) -> Timings:
        """How long the set-up of the current transport took."""
        current = self._transports.current
        return Timings() if current is None else current.timings

    def statistics(self) -> LegStatistics:
        """Return the statistics so far."""
        session = self.session
        newest = self._transports.newest or self._transports.latest
        state = TransportState() if newest is None else newest.state()
        state.codec = OPUS.name if state.described else ""
        state.sends = session.receives
        state.reports, state.reports_about_us = session.reports
        found = session.statistics()
        found.transport, found.setup = state, self.setup.timings()
        return found

    def set_remote(self, offer_sdp: str) -> None:
        """Begin the session with a peer whose offer `create_answer` will answer.

        Raises:
            SdpError: the offer is unusable.
        """
        self._session = self._begin_session(self._read(offer_sdp).audio)
        self.setup.note("offer", self._clock())

    async def create_answer(self, offer_sdp: str) -> str:
        """Answer the first offer; `connect` must follow at once.

        Raises:
            SdpError: the offer is unusable.
            LimitExceeded, LegError: no port is free, or a media address cannot be bound.
        """
        offer = self._read(offer_sdp)
        self.setup.note("offer", self._clock())
        async with self._negotiating:
            if self._transports.closed or self._session_version:
                raise InvalidState("the peer has been answered already")
            session = self._session or self._begin_session(offer.audio)
            try:
                await self._open_transport(offer, session)
            except BaseException:
                if self._session is None:
                    session.close()
                raise
            if self._session is session:
                session.renegotiate(offer.audio)  # it has begun before the offer
            self._session = session
            self.setup.note("answer", self._clock())
            return self._answer(offer)

    def expect_answer(self) -> None:
        """Begin the session with a peer that `create_offer` will write an offer for."""
        self._session = self._begin_session(EXPECTED.audio)

    async def create_offer(self, *, restart: bool = False) -> str:
        """Write an offer; `connect` must follow the first one, which waits for `set_answer` as for the rest of ICE.

        A further one is for a new page of the peer, which replaces the one before once it is connected; with
        `restart` it restarts ICE with the page that there is. Raises as `create_answer`.
        """
        async with self._negotiating:
            newest = self._transports.newest
            if self._transports.closed or self._over.is_set() or self.suspended:
                raise InvalidState("the peer connection is closed")
            if restart:
                if newest is None or not newest.fingerprint:
                    raise InvalidState("the peer has not been described")
                await newest.prepare(None)
            else:
                if self._session is None:
                    self.expect_answer()
                newest = await self._open_transport(None, self.session)
                self._transports.begin()
            self._offered = newest
            self.setup.note("offer", self._clock())
            return self._config.dialect.write_offer(self._describe(newest, setup="actpass"))

    async def set_answer(self, answer_sdp: str) -> None:
        """Take the answer to our offer.

        Raises:
            SdpError, InvalidState: it is unusable, or there is no offer to answer.
        """
        answer = parse_answer(answer_sdp)
        trace.described("peer.answer_received", answer)
        async with self._negotiating:
            transport = self._offered
            if transport is None or transport is not self._transports.newest:
                raise InvalidState("there is no offer to answer")
            if transport.fingerprint not in ("", answer.fingerprint):
                raise InvalidState("the answer is another peer's")
            self._offered = None
            transport.set_remote(answer)
            self.setup.note("answer", self._clock())
            if self._reload is None:
                self.session.renegotiate(answer.audio)
            else:
                self._reload = Reload(answer, self._reload.start)

    async def connect(self) -> None:
        """Bring up ICE and DTLS with the newest page; returns when media can flow.

        Raises:
            NegotiationFailed: with the stage and the reason.
        """
        if self._transports.next is None:
            raise InvalidState("there is nothing to connect")
        await self._transports.connect()

    async def reoffer(self, offer_sdp: str) -> tuple[str, Reoffer]:
        """Answer a further offer; what it asks for then happens in the background.

        Raises:
            SdpError, LimitExceeded: as `create_answer`.
            InvalidState: the peer connection is closed.
        """
        offer = self._read(offer_sdp)
        async with self._negotiating:
            newest = self._transports.newest
            if newest is None or self._over.is_set() or self.suspended:
                raise InvalidState("the peer connection is closed")
            if offer.fingerprint != newest.fingerprint:
                await self._open_transport(offer, self.session)
                self._transports.begin()
                return self._answer(offer), "reload"
            kind: Reoffer = "renegotiate"
            if (offer.ufrag, offer.pwd) != newest.credentials:
                kind = "restart"
                await newest.prepare(offer)
            if self._reload is None:
                self.session.renegotiate(offer.audio)
            else:
                self._reload = Reload(offer, self._reload.start)
            return self._answer(offer), kind

    async def wait_closed(self) -> str:
        """Wait for the end; return `closed` (by the peer), `consent_lost`, `failed` or `local`."""
        await self._over.wait()
        return self._reason

    def suspend(self) -> tuple[PeerSnapshot, list[socket.socket]]:
        """Stop reading and sending, and return all that another process goes on with; `resume` or `aclose` follows.

        The sockets stay this peer's: duplicates are to be passed on.

        Raises:
            HandoverRefused: it cannot move now; it goes on.
        """
        if self._config.packet_path is not None:
            self._config.packet_path.poll()  # takes what has been read already
        current = self._transports.current
        if current is None or not self._transports.stable or self._negotiating.locked():
            raise HandoverRefused("a leg is being connected, or negotiates")
        if self.suspended or self._over.is_set():
            raise HandoverRefused("a leg has ended, or is being handed over already")
        transport, sockets = current.suspend()
        self.suspended = True
        if self._timer is not None:
            self._timer.cancel()
        snapshot = PeerSnapshot(
            session_id=self._session_id,
            session_version=self._session_version,
            setup=self.setup.done(),
            discarded=dict(self._discarded),
            transport=transport,
            session=self.session.snapshot(),
        )
        return snapshot, sockets

    def resume(self) -> None:
        """Go on after `suspend`: nobody has taken the snapshot."""
        if self.suspended and self._transports.current is not None:
            self.suspended = False
            self._transports.current.resume()
            self._schedule_tick(0.0)

    def restore(self, snapshot: PeerSnapshot, sockets: Sequence[socket.socket]) -> None:
        """Go on in a fresh peer where the one of the snapshot stopped; the sockets are this peer's from now on.

        Raises:
            HandoverRefused: it cannot; the sockets are still the caller's, and the peer is good for `aclose` alone.
        """
        stood, self._cname = snapshot.session, snapshot.session.reports.cname
        self._session_id, self._session_version = snapshot.session_id, snapshot.session_version
        self.setup.restore(snapshot.setup)
        restore_counts(self._discarded, snapshot.discarded)
        self._session = session = self._begin_session(stood.audio.negotiated())
        session.restore(stood)
        ours = self._certificates.current(self._clock()).certificate
        transport = self._new_transport(
            Certificate(ours, snapshot.transport.own_fingerprint), session
        )
        transport.restore(snapshot.transport, sockets)
        self._transports.restore(transport)

    async def warm_up(self) -> None:
        """Do once, and without a call, what takes long the first time in a process; then it is of no use any more."""
        self.expect_answer()
        transport = self._new_transport(self._certificates.current(self._clock()), self.session)
        transport.warm_up()
        self.session.set_transmit(self._drop_packet, self._drop_packet)
        await transport.aclose()
        self.session.close()

    async def aclose(self) -> None:
        """Send RTCP BYE and close_notify and free everything; from any state, safe to repeat."""
        if self._transports.current is not None:
            self.session.report(self._clock(), datetime.now(UTC).timestamp(), bye=True)
        self._end("local")
        if self._timer is not None:
            self._timer.cancel()
        await self._transports.aclose()
        if self._session is not None:
            self._session.close()

    async def _open_transport(self, offer: RemoteAudio | None, session: RtpSession) -> Transport:
        """Open a transport for a new page; it replaces one that is not up yet."""
        transport = self._new_transport(self._certificates.current(self._clock()), session)

        async def opening() -> None:
            await transport.prepare(offer)
            # The first page's stream begins with the session.
            if self._session_version:
                self._reload = Reload(offer or EXPECTED, new_start())

        await self._transports.prepare(transport, opening())
        return transport

    def _new_transport(self, certificate: Certificate, session: RtpSession) -> Transport:
        return Transport(
            config=self._config,
            certificate=certificate,
            session=session,
            setup=self.setup,
            on_lost=self._transports.lost,
            on_restarted=self._on_restart,
            discarded=self._discarded,
        )

    def _begin_session(self, audio: NegotiatedAudio) -> RtpSession:
        session = RtpSession(
            self._config.session_config(self._opus, continuous=self._config.dialect.continuous),
            audio=audio,
            start=new_start(),
            cname=self._cname,
            on_digit=self._on_digit,
            schedule_tick=self._schedule_tick,
            discarded=self._discarded,
        )
        session.set_transmit(self._drop_packet, self._drop_packet)
        return session

    def _read(self, offer_sdp: str) -> RemoteAudio:
        offer = self._config.dialect.parse_offer(offer_sdp)
        trace.described("peer.offer_received", offer)
        return offer

    def _answer(self, offer: RemoteAudio) -> str:
        transport = self._transports.newest
        if transport is None:
            raise InvalidState("the peer connection is closed")
        fields = {"role": transport.role, "candidates": len(transport.candidates())}
        trace.log.debug("peer.answered", extra=fields)
        setup: Literal["active", "passive"] = "active" if transport.role == "client" else "passive"
        return self._config.dialect.write_answer(offer, self._describe(transport, setup=setup))

    def _describe(
        self, transport: Transport, *, setup: Literal["active", "passive", "actpass"]
    ) -> LocalAudio:
        self._session_version += 1
        return LocalAudio(
            ufrag=transport.local.local_username,
            pwd=transport.local.local_password,
            fingerprint=transport.certificate.fingerprint,
            candidates=transport.candidates(),
            ssrc=self.session.ssrc if self._reload is None else self._reload.start.ssrc,
            cname=self._cname,
            session_id=self._session_id,
            session_version=self._session_version,
            setup=setup,
        )

    def _switched(self, transport: Transport, _replaced: Transport | None) -> None:
        if self._reload is not None:
            self.session.restart_source(self._reload.offer.audio, self._reload.start)
            self._reload = None
        transport.activate()

    def _failed(self) -> None:
        self._reload = None
        if self._transports.current is None:
            self._end("failed")

    def _end(self, reason: str) -> None:
        if not self._over.is_set():
            self._reason = reason
            self._over.set()

    def _schedule_tick(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, lambda: self.session.tick(self._clock()))

    def _drop_packet(self, _packet: bytes) -> None:
        """Drop what is sent before there is a transport."""
        self._discarded["unsendable"] += 1
