"""One WebRTC peer: its descriptions, its transport, its RTP session.

A peer outlives what is below it. A new ICE user fragment restarts ICE under the same keys; the
same fragment renegotiates; another fingerprint is a reloaded page, which gets a transport and
streams of its own while the session, its figures and its place on the bus go on.
"""

import asyncio
import dataclasses
import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from bridge.audio.opus import Opus
from bridge.call.model import LegStatistics
from bridge.errors import InvalidState, NegotiationFailed
from bridge.rtc import trace
from bridge.rtc.dtls import Certificates
from bridge.rtc.guard import no_discards
from bridge.rtc.transport import Handlers, PeerConfig, Timings, Transport
from bridge.rtp.session import RtpSession, StreamStart
from bridge.wire.sdp import LocalAudio, RemoteAudio, parse_offer, write_answer
from bridge.wire.sdp_offer import (
    EXPECTED,
    parse_answer,
    parse_plain_offer,
    write_offer,
    write_plain_answer,
)

__all__ = ["Peer", "PeerConfig", "Reoffer", "Timings"]

log = logging.getLogger(__name__)

Setup: TypeAlias = Literal["active", "passive", "actpass"]
Reoffer: TypeAlias = Literal["restart", "renegotiate", "reload"]


class Peer:
    """The other end of a WebRTC connection, from the first offer to its end.

    Either it offers (`accept`, and later `reoffer`), or we do (`offer`, `take_answer`).

    Args:
        config: What all peers of the node share.
        certificates: The node's.
        opus: The loaded library.
        on_digit: Told each digit that the peer sends.
        on_restart: Told how each ICE restart ended: whether the peer is on its new path.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        config: PeerConfig,
        certificates: Certificates,
        opus: Opus,
        on_digit: Callable[[str], None],
        on_restart: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._certificates = certificates
        self._opus = opus
        self._on_digit = on_digit
        self._on_restart = on_restart
        self._clock = clock
        self._discarded = no_discards()
        self._session: RtpSession | None = None
        self._serving: Transport | None = None
        self._pending: Transport | None = None
        self._open: list[Transport] = []
        self._pending_offer: RemoteAudio | None = None
        self._pending_start: StreamStart | None = None
        self._cname = secrets.token_hex(8)
        self._session_id = secrets.randbits(62)
        self._session_version = 0
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._up: asyncio.Future[None] | None = None
        self._wakeup: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._reason = ""
        self._lost = ""
        self._closed = False

    @property
    def session(self) -> RtpSession:
        """The RTP session, the same for the peer's whole life.

        There is one after `accept`, and already after `meet` or `offer`.
        """
        assert self._session is not None
        return self._session

    @property
    def timings(self) -> Timings:
        """How long the set-up of the transport in use took."""
        if self._serving is None:
            return Timings()
        return Timings(self._serving.ice_seconds, self._serving.dtls_seconds)

    def statistics(self) -> LegStatistics:
        """Give the peer's figures until now."""
        counts = self._discarded | {"bad_rtp": self.session.malformed}
        discarded = {reason: count for reason, count in counts.items() if count}
        return dataclasses.replace(self.session.statistics(), discarded=discarded)

    def meet(self, offer_sdp: str) -> None:
        """Begin the session with a peer whose offer will be answered by `accept`.

        Raises:
            SdpError: the offer cannot be worked with.
        """
        self._session = self._begin_session(self._read(offer_sdp))

    async def accept(self, offer_sdp: str) -> str:
        """Answer the first offer; `connect` must follow at once.

        Raises:
            SdpError: the offer cannot be worked with.
            LimitExceeded: no port is free.
            LegError: a media address cannot be bound.
        """
        offer = self._read(offer_sdp)
        async with self._turn:
            if self._closed or self._session_version:
                raise InvalidState("the peer has been answered already")
            session = self._session or self._begin_session(offer)
            await self._take_page(offer, session)
            self._session = session
            return self._answer(offer)

    async def offer(self) -> str:
        """Write an offer; when its answer has come, `take_answer` and `connect` must follow.

        Raises:
            LimitExceeded: no port is free.
            LegError: a media address cannot be bound.
        """
        async with self._turn:
            if self._closed or self._session_version:
                raise InvalidState("the peer has been described already")
            session = self._begin_session(EXPECTED)
            transport = await self._open_transport(None, session)
            self._session, self._pending = session, transport
            return write_offer(self._describe(transport, setup="actpass"))

    async def take_answer(self, answer_sdp: str) -> None:
        """Learn who answers our offer, and what was negotiated.

        Raises:
            SdpError: the answer cannot be worked with.
            InvalidState: there is no offer to answer.
        """
        answer = parse_answer(answer_sdp)
        trace.described("peer.answer_received", answer)
        async with self._turn:
            transport = self._pending
            if transport is None or transport.fingerprint:
                raise InvalidState("there is no offer to answer")
            transport.meet(answer)
            self.session.renegotiate(answer)

    async def connect(self) -> None:
        """Bring up ICE and DTLS with the newest page; returns when media can flow.

        Raises:
            NegotiationFailed: naming the stage and the reason.
        """
        if self._closed or self._pending is None:
            raise InvalidState("there is nothing to connect")
        self._up = asyncio.get_running_loop().create_future()
        self._begin(self._pending)
        await self._up

    async def reoffer(self, offer_sdp: str) -> tuple[str, Reoffer]:
        """Answer a further offer of the same party; what it needs then happens in the background.

        Raises:
            SdpError: the offer cannot be worked with.
            LimitExceeded: no port is free.
            InvalidState: the peer is gone.
        """
        offer = self._read(offer_sdp)
        async with self._turn:
            newest = self._pending or self._serving
            if newest is None or self._over.is_set():
                raise InvalidState("the peer is gone")
            kind: Reoffer = "reload"
            if offer.fingerprint != newest.fingerprint:
                await self._take_page(offer, self.session)
                if self._up is not None and self._pending is not None:
                    self._begin(self._pending)
                return self._answer(offer), kind
            kind = "renegotiate"
            if (offer.ufrag, offer.pwd) != newest.credentials:
                kind = "restart"
                await newest.prepare(offer)
            if newest is self._pending:
                self._pending_offer = offer
            if self._pending_start is None:
                self.session.renegotiate(offer)
            return self._answer(offer), kind

    async def wait_closed(self) -> str:
        """Wait for the end; `closed` by the peer, `consent_lost`, or `local` (ours)."""
        await self._over.wait()
        return self._reason

    async def aclose(self) -> None:
        """Say goodbye (RTCP BYE, close_notify) and free everything; from any state, repeatable."""
        if not self._closed:
            self._closed = True
            if self._serving is not None:
                wall = datetime.now(UTC).timestamp()
                self.session.report(self._clock(), wall, goodbye=True)
            self._end("local")
        if self._wakeup is not None:
            self._wakeup.cancel()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            self._fail(NegotiationFailed("closed", stage="ice", reason="closed"))
            self._serving = self._pending = None
            await self._drop_all()

    async def _take_page(self, offer: RemoteAudio, session: RtpSession) -> None:
        """Open a transport for a page we have not met; it replaces one that is not up yet."""
        transport = await self._open_transport(offer, session)
        replaced, self._pending = self._pending, transport
        self._pending_offer = offer
        # The first page's stream begins with the session.
        self._pending_start = _new_start() if self._session_version else None
        if replaced is not None:
            await self._drop(replaced)

    async def _open_transport(self, offer: RemoteAudio | None, session: RtpSession) -> Transport:
        transport = Transport(
            config=self._config,
            certificate=self._certificates.current(self._clock()),
            handlers=Handlers(
                rtp=session.receive_rtp,
                rtcp=session.receive_rtcp,
                lost=self._transport_lost,
                restarted=self._on_restart,
            ),
            discarded=self._discarded,
            clock=self._clock,
        )
        self._open.append(transport)
        try:
            await transport.prepare(offer)
            if self._closed:
                raise InvalidState("the peer is gone")
        except BaseException:
            await self._drop(transport)
            raise
        return transport

    def _begin_session(self, audio: RemoteAudio) -> RtpSession:
        return RtpSession(
            opus=self._opus,
            audio=audio,
            start=_new_start(),
            cname=self._cname,
            transmit=self._drop_packet,
            transmit_rtcp=self._drop_packet,
            on_digit=self._on_digit,
            wake=self._wake,
            relays=self._config.relay,
            encoder_budget=self._config.encoder_budget,
            silence=self._config.silence,
            on_encoder=lambda chosen: trace.encoder_chosen(
                chosen, self._config.encoder_budget.level
            ),
        )

    def _read(self, offer_sdp: str) -> RemoteAudio:
        plain = self._config.silence is not None
        offer = (
            parse_plain_offer(offer_sdp) if plain else parse_offer(offer_sdp, red=self._config.red)
        )
        trace.described("peer.offer_received", offer)
        return offer

    def _answer(self, offer: RemoteAudio) -> str:
        transport = self._pending or self._serving
        assert transport is not None
        setup: Setup = "active" if transport.role == "client" else "passive"
        trace.answered(role=transport.role, candidates=len(transport.candidates()))
        write = write_answer if self._config.silence is None else write_plain_answer
        return write(offer, self._describe(transport, setup=setup))

    def _describe(self, transport: Transport, *, setup: Setup) -> LocalAudio:
        self._session_version += 1
        return LocalAudio(
            ufrag=transport.local.local_username,
            pwd=transport.local.local_password,
            fingerprint=transport.certificate.fingerprint,
            candidates=transport.candidates(),
            ssrc=self._pending_start.ssrc if self._pending_start else self.session.ssrc,
            cname=self._cname,
            session_id=self._session_id,
            session_version=self._session_version,
            setup=setup,
        )

    def _begin(self, transport: Transport) -> None:
        # Ends with `aclose`; no task group can span the calls that start and stop it.
        task = asyncio.create_task(self._bring_up(transport))  # noqa: TID251
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring_up(self, transport: Transport) -> None:
        try:
            await transport.connect()
        except NegotiationFailed as error:
            failure = error
        except Exception:
            log.exception("peer.setup_crashed")
            failure = NegotiationFailed("internal error", stage="dtls", reason="internal")
        else:
            if transport is self._pending:
                await self._adopt(transport)
            return
        if transport is self._pending:
            self._pending = self._pending_start = None
            self._fail(failure)
            await self._drop(transport)

    async def _adopt(self, transport: Transport) -> None:
        old, self._serving, self._pending = self._serving, transport, None
        start, self._pending_start = self._pending_start, None
        if start is not None and self._pending_offer is not None:
            self.session.renew(self._pending_offer, start)
        transport.carry(self.session)
        self._lost = ""
        if self._up is not None and not self._up.done():
            self._up.set_result(None)
        if old is not None:
            await self._drop(old)

    async def _drop(self, transport: Transport) -> None:
        await transport.aclose()
        if transport in self._open:
            self._open.remove(transport)

    async def _drop_all(self) -> None:
        """Close one transport after the other, the rest also when one of them is cut short."""
        for transport in [*self._open]:
            try:
                await self._drop(transport)
            except asyncio.CancelledError:
                await self._drop_all()
                raise

    def _transport_lost(self, transport: Transport, reason: str) -> None:
        if transport is not self._serving:
            return
        if self._pending is None:
            self._end(reason)
        else:
            self._lost = reason  # a page that is being reloaded may still come up

    def _fail(self, error: NegotiationFailed) -> None:
        if self._up is not None and not self._up.done():
            self._up.set_exception(error)
        if self._serving is None or self._lost:
            self._end(self._lost or "failed")

    def _end(self, reason: str) -> None:
        if not self._over.is_set():
            self._reason = reason
            self._over.set()

    def _wake(self, seconds: float) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
        loop = asyncio.get_running_loop()
        self._wakeup = loop.call_later(seconds, lambda: self.session.pulse(self._clock()))

    def _drop_packet(self, _packet: bytes) -> None:
        """Take what is sent before there is a transport."""
        self._discarded["unsendable"] += 1


def _new_start() -> StreamStart:
    return StreamStart(
        ssrc=secrets.randbits(32), sequence=secrets.randbits(15), timestamp=secrets.randbits(32)
    )
