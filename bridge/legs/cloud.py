"""A WhatsApp user on Meta's Cloud API: Opus RTP over WebRTC, signalled through Meta's servers.

Meta's media server is ICE-lite and expects the business to begin: we send the connectivity checks,
are the DTLS client, and send no audio before the call is accepted. From then on the user gets 50
packets a second, whatever happens in the rest of the call.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

import msgspec

from bridge.call import events
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.call.setup_timings import SetupStep
from bridge.errors import BridgeError, HandoverRefused
from bridge.legs.base import Emit, drop, refusal_reason, run_until
from bridge.legs.peer_media import PeerFactory, PeerMedia
from bridge.legs.provider_requests import ProviderRequests
from bridge.metrics.calls import SetupMetrics
from bridge.rtp.session import RtpSession
from bridge.sip.snapshot import SipCallSnapshot
from bridge.wire.call_event import EventType
from bridge.wire.snapshot.peer import PeerSnapshot

log = logging.getLogger(__name__)

HANG_UP_SECONDS: Final = 0.8
"""How long the leg's end waits for Meta's answer to the hang-up, which goes on by itself after that."""

_REPORT_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 0.5
_MIN_SLEEP: Final = 0.001
_SUSPENDED_SLEEP: Final = 0.01


class Signalling(Protocol):
    """Meta's call actions; every method raises `BridgeError` when Meta refuses."""

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        """Send the answer ahead of `accept`, so that the media is up before anybody answers."""

    async def accept(self, call_id: str, sdp: str) -> None:
        """Answer an inbound call, with the description that `pre_accept` was given."""

    async def reject(self, call_id: str) -> None:
        """Refuse an inbound call; continues when its waiter is cancelled."""

    async def terminate(self, call_id: str) -> None:
        """End a call; continues when its waiter is cancelled."""

    def suspend(self, call_id: str) -> Callable[[], None]:
        """Buffer what Meta reports of a call, as of one that is not known here; return what passes it on again."""

    def snapshot(self) -> SipCallSnapshot | None:
        """Return what another process needs to signal to Meta; None where it is in the database.

        Raises:
            HandoverRefused: something is under way.
        """

    def abandon(self) -> None:
        """Free what is here of a suspended call that another process has; Meta is told nothing."""


@dataclass(frozen=True, slots=True)
class InboundCall:
    """A user calls: the contents of Meta's `connect` webhook."""

    wacid: str
    offer: str
    pre_accept: bool = True
    """Whether the media is to come up before anybody answers."""


class CloudSnapshot(msgspec.Struct, frozen=True):
    """A leg whose user talks."""

    peer: PeerSnapshot
    silent: bool
    wacid: str
    inbound: bool
    latency_sent: bool
    dialog: SipCallSnapshot | None = None
    """Of a call that Meta signals by SIP."""


Connect: TypeAlias = Callable[["CloudLeg", str], Awaitable[None]]
"""Asks Meta to ring the user with the leg's offer; raises `BridgeError` when Meta refuses.

Calls `CloudLeg.dialled` when Meta accepts. Cancelled, it ends the call that Meta may still begin.
"""


class CloudLeg:
    """One call with a WhatsApp user: `inbound`, or an outbound one that `connect` begins.

    `set_answer`, `ringing`, `accepted` and `terminated` report Meta's webhooks, which may
    come in any order, repeatedly, and after the leg is over.
    """

    kind = LegKind.WHATSAPP

    def __init__(
        self,
        leg_id: LegId,
        *,
        signalling: Signalling,
        peer: PeerFactory,
        counters: SetupMetrics,
        inbound: InboundCall | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Make a leg of either kind; one with neither is to be restored.

        Raises:
            SdpError: the user's offer cannot be answered.
        """
        self.leg_id = leg_id
        self.wacid = "" if inbound is None else inbound.wacid
        """Meta's id of the call; never logged, since it may contain numbers."""
        self._signalling = signalling
        self._inbound = inbound
        self.is_inbound = inbound is not None
        """Whether the user has called us."""
        self._media = PeerMedia(leg_id, self.kind, peer=peer, counters=counters)
        self._connect = connect
        if inbound is not None:
            self._media.peer.set_remote(inbound.offer)
        elif connect is not None:
            self._media.peer.expect_answer()
        loop = asyncio.get_running_loop()
        self._answer_sdp: asyncio.Future[str] = loop.create_future()
        self._accepted = asyncio.Event()
        """Our side answers the call, or the user has."""
        self._described = asyncio.Event()
        """Both sides have each other's description."""
        self._may_send = asyncio.Event()
        """Meta has taken our `accept`, or reported that the user picked up."""
        self._over: asyncio.Future[EndReason] = loop.create_future()
        self._requests = ProviderRequests()
        self._refusal: BridgeError | None = None
        self._hang_up = signalling.terminate if inbound is None else signalling.reject
        self._rings = self._hung_up = self._latency_sent = False
        self._restored = False
        self._resume_signalling: Callable[[], None] = lambda: None
        self._talking = self._gone = False
        """Whether audio flows, and whether another process has the leg."""

    @property
    def source(self) -> RtpSession:
        """What the user says."""
        return self._media.peer.session

    @property
    def sink(self) -> RtpSession:
        """What the user hears."""
        return self._media.peer.session

    def dialled(self, wacid: str) -> None:
        """Set Meta's id of the outbound call, which Meta has accepted."""
        self.wacid = wacid
        self._note("dialled")
        self._media.emit(events.LegDialled(self.leg_id))

    def set_answer(self, sdp: str) -> None:
        """Set the answer of Meta's media server to the offer; the user has not picked up yet."""
        if not self._answer_sdp.done():
            self._answer_sdp.set_result(sdp)

    def ringing(self) -> None:
        """Note that the user's device rings."""
        if not self._rings and not self._accepted.is_set() and not self._over.done():
            self._rings = True
            self._note("ringing")
            self._media.emit(events.LegRinging(self.leg_id))

    def accepted(self) -> None:
        """Note that the user picked up."""
        if not self.is_inbound and not self._accepted.is_set() and not self._over.done():
            self._accepted.set()
            self._note("accepted")
            self._media.emit(events.LegAnswered(self.leg_id))

    def terminated(
        self,
        reason: EndReason = EndReason.REMOTE_HANGUP,
        error: BridgeError | None = None,
    ) -> None:
        """Note that Meta has ended the call, with its error if there was one, or that the user refused it."""
        self._hung_up = True
        self._refusal = error or self._refusal
        self._end(reason)

    async def run(self, emit: Emit) -> None:
        """Connect and live until the call is over (`legs.base.Leg.run`)."""
        self._media.emit = emit
        try:
            reason = await run_until(
                self._over, self.leg_id, signal=self._signal(), media=self._run_media()
            )
            emit(events.LegEnded(self.leg_id, reason, self._refusal))
        finally:
            self._media.emit = drop
            # Not in tasks: a hang-up may cancel this one now, and tasks that have not begun yet
            # would never free anything.
            if not self._gone:
                try:
                    await self._media.peer.aclose()
                finally:
                    await self._end_call()

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the leg cannot move now (`legs.base.Movable`)."""
        if not self._talking or self._media.peer.suspended or self._over.done():
            raise HandoverRefused("the WhatsApp call is not connected, or has ended")
        self._signalling.snapshot()

    def suspend(self) -> tuple[CloudSnapshot, list[socket.socket]]:
        """Stop reading and sending (`legs.base.Movable`); what Meta reports meanwhile is buffered."""
        dialog = self._signalling.snapshot()
        peer, sockets = self._media.peer.suspend()
        self._resume_signalling = self._signalling.suspend(self.wacid)
        snapshot = CloudSnapshot(
            peer, self._media.silent, self.wacid, self.is_inbound, self._latency_sent, dialog
        )
        return snapshot, sockets

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._media.peer.resume()
        self._resume_signalling()

    async def abandon(self) -> None:
        """Free a suspended leg that another process goes on with (`legs.base.Movable`)."""
        self._gone = True
        self._signalling.abandon()
        await self._media.peer.aclose()

    def restore(self, snapshot: CloudSnapshot, sockets: Sequence[socket.socket]) -> None:
        """Go on with another process's leg.

        Raises:
            HandoverRefused: as `rtc.peer.Peer.restore`.
        """
        self._media.restore(snapshot.peer, sockets, silent=snapshot.silent)
        self.wacid, self.is_inbound = snapshot.wacid, snapshot.inbound
        self._latency_sent, self._rings = snapshot.latency_sent, True
        self._hang_up = self._signalling.terminate
        self._accepted.set()
        self._restored = self._talking = True

    def answer(self) -> None:
        """Accept an inbound call; has no effect on an outbound one."""
        if self._inbound is not None:
            self._accepted.set()

    def send_digits(self, digits: str) -> None:
        """Send DTMF; dropped before the call is accepted, or when too many wait."""
        self._media.send_digits(digits)

    def statistics(self) -> LegStatistics:
        """Return the leg's figures until now."""
        return replace(self._media.peer.statistics(), provider=self._requests.state())

    async def aclose(self) -> None:
        """Free a leg that was never run, and hang up at Meta."""
        await asyncio.gather(self._end_call(), self._media.peer.aclose())

    async def _signal(self) -> None:
        """Exchange descriptions, and wait until the call is accepted."""
        if self._restored:
            return
        try:
            await (self._call() if self._inbound is None else self._pick_up(self._inbound))
        except BridgeError as error:
            log.warning("leg.signalling_failed", extra={"kind": self.kind, "code": error.code})
            self._refusal = error
            self._end(refusal_reason(error))

    async def _call(self) -> None:
        if self._connect is not None:
            offer = await self._media.peer.create_offer()
            await self._requests.follow(self._connect(self, offer))
        await self._media.peer.set_answer(await self._answer_sdp)
        self._described.set()
        await self._accepted.wait()
        self._may_send.set()

    async def _pick_up(self, inbound: InboundCall) -> None:
        answer = await self._media.peer.create_answer(inbound.offer)
        if inbound.pre_accept:
            try:
                await self._requests.follow(self._signalling.pre_accept(inbound.wacid, answer))
                self._note("pre_accepted")
                self._described.set()
            except BridgeError as error:
                # It only saves time: `accept` alone is enough.
                log.warning("leg.pre_accept_failed", extra={"kind": self.kind, "code": error.code})
        await self._accepted.wait()
        self._hang_up = self._signalling.terminate
        await self._requests.follow(self._signalling.accept(inbound.wacid, answer))
        self._note("accepted")
        self._described.set()
        self._may_send.set()

    async def _run_media(self) -> None:
        """Connect once both sides are described, and live until the peer is gone."""
        if not self._restored:
            await self._described.wait()
        if self._restored or await self._media.connect(asyncio.get_running_loop().time()):
            self._end(await self._media.run_until_closed(talk=self._talk()))
        else:
            self._end(EndReason.FAILED)

    async def _talk(self) -> None:
        """Send without a pause from the moment it is allowed, report, and watch for silence."""
        loop, session = asyncio.get_running_loop(), self._media.peer.session
        if not self._restored:
            await self._may_send.wait()
            session.start_sending(loop.time())
            self._media.emit(events.LegConnected(self.leg_id))
            self._talking = True
        now = loop.time()
        report_due, check_due = now + _REPORT_SECONDS, now + _CHECK_SECONDS
        while True:
            now = loop.time()
            await asyncio.sleep(max(_MIN_SLEEP, session.next_tick(now) - now))
            now = loop.time()
            if self._media.peer.suspended:
                await asyncio.sleep(_SUSPENDED_SLEEP)
                continue
            session.tick(now)
            if now >= report_due:
                report_due = now + _REPORT_SECONDS
                self._media.report(now)
            if now >= check_due:
                check_due = now + _CHECK_SECONDS
                self._media.check_silence(session.last_received(), now)
                self._note_latency()

    def _note_latency(self) -> None:
        """Report the round trip once it is known."""
        if self._latency_sent:
            return
        if trip := self._media.peer.session.statistics().round_trip_seconds:
            self._latency_sent = True
            latency = {"latencyMs": round(trip * 1000, 1)}
            self._media.emit(events.LegReported(self.leg_id, EventType.CALL_LATENCY, latency))

    async def _end_call(self) -> None:
        """Hang up at Meta, unless it has hung up itself."""
        if self._hung_up or not self.wacid:
            return
        self._hung_up = True
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                await self._hang_up(self.wacid)
        except TimeoutError:
            log.info("leg.hangup_timeout", extra={"kind": self.kind})
        except BridgeError as error:
            log.warning("leg.hangup_failed", extra={"kind": self.kind, "code": error.code})

    def _end(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    def _note(self, step: SetupStep) -> None:
        self._media.peer.setup.note(step, asyncio.get_running_loop().time())
