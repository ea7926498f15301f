"""A party in a browser or app: Opus RTP over WebRTC, answered on one UDP port."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from functools import partial
from typing import TypeAlias

import msgspec

from bridge.audio.frame import FRAME_SECONDS
from bridge.call.bus.ends import Sink, Source
from bridge.call.events import LegConnected, LegEnded
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.errors import BridgeError, HandoverRefused
from bridge.legs.base import Emit, drop
from bridge.legs.peer_media import PeerFactory, PeerMedia
from bridge.metrics.calls import SetupMetrics
from bridge.periodic import Periodic
from bridge.rtp.reports import ReportPacing
from bridge.tasks import wait_set
from bridge.wire.snapshot.peer import PeerSnapshot

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.5
REPORT_SLOTS = 25
"""Legs that share a slot report in one wake-up of the loop."""
REPORTS_AT_ONCE = 4
"""Legs that report before the event loop does something else."""
IDLE_SECONDS = 4
"""Without a packet in either direction until a leg is called idle: a sample has then seen for 2 s that none comes."""

Reports: TypeAlias = Periodic["WebRtcLeg"]


class WebRtcSnapshot(msgspec.Struct, frozen=True):
    """A connected leg."""

    peer: PeerSnapshot
    silent: bool
    sdk: bool = False
    """As `WebRtcLeg.sdk`."""
    two_connections: bool = False
    publisher: PeerSnapshot | None = None
    """The second connection, if there is one."""
    sockets: int | None = None
    """Of the first connection; None where there is no other."""


class AwaitedLegSnapshot(msgspec.Struct, frozen=True):
    """A leg whose page offers again, to another machine."""

    sdk: bool = False
    two_connections: bool = False


class WebRtcLeg:
    """A WebRTC peer as a leg; `accept` answers its offer, or `offer` offers to it, `run` then connects and lives."""

    kind = LegKind.WEBRTC
    source: Source
    sink: Sink
    """Both are set once `accept` has answered."""

    def __init__(
        self,
        leg_id: LegId,
        *,
        peer: PeerFactory,
        counters: SetupMetrics,
        publisher: PeerFactory | None = None,
        reports: Reports | None = None,
        sdk: bool = False,
    ) -> None:
        """Make a leg.

        Args:
            leg_id: Its id.
            peer: Makes its peer.
            counters: What its set-up is counted in.
            publisher: Makes a second one, of a party that offers a connection of its own for what it sends.
            reports: Those that it shares with other legs; None for its own.
            sdk: Whether its party is an SDK of LiveKit.
        """
        self.leg_id = leg_id
        self.sdk = sdk
        """Whether its party is an SDK of LiveKit, so that its peer has that dialect."""
        self._reports = make_reports() if reports is None else reports
        self._odd = False
        """Whether the last turn was one at which to report."""
        self._pacing = ReportPacing()
        self._context = copy_context()
        self._counters = counters
        self.two_connections = publisher is not None
        """Whether its party sends on a connection of its own; we offer the other one."""
        self._media = PeerMedia(
            leg_id, self.kind, peer=peer, counters=counters, publisher=publisher
        )
        self._digits = asyncio.Event()
        self._offered_at = 0.0
        """Of the first offer, by the loop's clock."""
        self._restored = False
        self._begun = False
        """Whether there are ends for the bus."""
        self._up = False
        """Whether it is connected and not over."""
        self._returned = asyncio.Event()
        """Set but for a leg of a dead machine whose page has not offered again."""
        self._returned.set()
        self._waits_seconds = 0.0
        """How long that is waited for."""
        self._returning = asyncio.Lock()

    async def accept(self, offer: str) -> str:
        """Return the answer to the first offer; cancellation frees what was gathered.

        Raises:
            SdpError: the offer cannot be answered.
            LimitExceeded: every UDP port of `rtc.ports` is in use.
        """
        return await self._describe(partial(self._media.peer.create_answer, offer))

    async def offer(self, *, restart: bool = False) -> str:
        """Return our offer to a party with two connections, which answers it (`set_answer`).

        A further offer is to one that has joined anew; with `restart` it restarts ICE.

        Raises:
            LimitExceeded: as `accept`.
            InvalidState: the peer connection is closed, or there is nothing to restart.
        """
        async with self._returning:
            peer = self._media.peer
            if restart or (self._begun and not self.reconnecting):
                return await peer.create_offer(restart=restart)
            if not self._begun:
                self._media.expect()
            offer = await self._describe(peer.create_offer)
            self._returned.set()
            return offer

    async def set_answer(self, answer: str) -> None:
        """Take the answer to `offer`; raises as `rtc.peer.Peer.set_answer`."""
        await self._media.peer.set_answer(answer)

    async def reoffer(self, offer: str) -> str:
        """Answer a further offer: an ICE restart, a renegotiation, a reloaded page, or one whose machine has died.

        Of a party with two connections each is one of its second.

        Raises:
            SdpError, LimitExceeded: as `accept`; the leg goes on as it was.
        """
        if self.two_connections:
            return await self._media.publish(offer)
        async with self._returning:  # a page repeats an offer that is not answered at once
            if self.reconnecting:
                answer = await self.accept(offer)
                self._returned.set()
                log.info("leg.returned", extra={"leg": self.leg_id})
                return answer
        answer, kind = await self._media.peer.reoffer(offer)
        if kind == "restart":
            self._counters.ice_restart("started")
        log.info("leg.reoffered", extra={"leg": self.leg_id, "kind": kind})
        return answer

    async def run(self, emit: Emit) -> None:
        """Connect and live until the peer is gone (`legs.base.Leg.run`)."""
        self._media.emit = emit
        self._context = copy_context()  # of the call and leg that its logs name
        try:
            reason = EndReason.FAILED
            if not await wait_set(self._returned, self._waits_seconds):
                reason = EndReason.NODE_LOST
            elif self._restored or await self._media.connect(self._offered_at):
                if not self._restored:
                    emit(LegConnected(self.leg_id))
                self._up = True
                self._reports.join(self)
                reason = await self._media.run_until_closed(digits=self._send_digits())
            emit(LegEnded(self.leg_id, reason, waited=self.reconnecting))
        finally:
            self._up = False
            self._reports.leave(self)
            self._media.emit = drop
            await self.aclose()

    @property
    def reconnecting(self) -> bool:
        """Whether another machine had the leg, and its page has not offered again (`legs.base.Reconnecting`)."""
        return not self._returned.is_set()

    def portable_state(self) -> AwaitedLegSnapshot | None:
        """Return that another machine can wait for the page (`legs.base.Portable`)."""
        if not self._up and not self.reconnecting:
            return None
        return AwaitedLegSnapshot(self.sdk, self.two_connections)

    def await_return(self, seconds: float) -> None:
        """Wait so long, when it is run, for the page to offer again; in place of `accept`."""
        self._media.expect()
        self._take_ends()
        self._waits_seconds = seconds
        self._returned.clear()

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the leg cannot move now (`legs.base.Movable`)."""
        if not self._up or self._media.peer.suspended:
            raise HandoverRefused("the WebRTC leg is not connected")

    def suspend(self) -> tuple[WebRtcSnapshot, list[socket.socket]]:
        """Stop reading and sending (`legs.base.Movable`)."""
        publisher, more = self._media.suspend_publisher()
        try:
            peer, sockets = self._media.peer.suspend()
        except HandoverRefused:
            self._media.resume()
            raise
        self._reports.leave(self)
        snapshot = WebRtcSnapshot(
            peer, self._media.silent, self.sdk, self.two_connections, publisher, len(sockets)
        )
        return snapshot, [*sockets, *more]

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._media.resume()
        self._reports.join(self)
        self._digits.set()

    async def abandon(self) -> None:
        """Free a suspended leg that another process goes on with (`legs.base.Movable`)."""
        await self.aclose()

    def restore(self, snapshot: WebRtcSnapshot, sockets: Sequence[socket.socket]) -> None:
        """Go on with another process's leg, in place of `accept`.

        Raises:
            HandoverRefused: as `rtc.peer.Peer.restore`.
        """
        own = len(sockets) if snapshot.sockets is None else snapshot.sockets
        self._media.restore(snapshot.peer, sockets[:own], silent=snapshot.silent)
        self._media.restore_publisher(snapshot.publisher, sockets[own:])
        self._take_ends()
        self._restored = self._up = True
        self._digits.set()

    @property
    def idle(self) -> bool:
        """Whether no packet has come or gone for some seconds (`legs.base.Idling`)."""
        return self._pacing.idle >= IDLE_SECONDS

    def send_digits(self, digits: str) -> None:
        """Send DTMF; dropped when the peer takes none, or no more of them."""
        if self._media.send_digits(digits):
            self._digits.set()

    def statistics(self) -> LegStatistics:
        """Return the leg's figures until now."""
        return self._media.statistics()

    async def aclose(self) -> None:
        """Free the peer, whether the leg was run or not."""
        await self._media.aclose()

    def report(self, now: float) -> None:
        """Report, and watch for silence; to be called every `REPORT_SECONDS` while the leg is connected."""
        self._context.run(self._report, now)

    def _report(self, now: float) -> None:
        self._odd = not self._odd
        received = self._media.heard.last_received()
        if self._odd and self._pacing.due(self._media.peer.session.sent_packets, received):
            self._media.report(now)
        for session in self._media.sessions:
            if session.needs_tick:
                session.tick(now)
        self._media.check_silence(received, now)

    async def _describe(self, describe: Callable[[], Awaitable[str]]) -> str:
        """Return our first description."""
        loop = asyncio.get_running_loop()
        began = self._offered_at = loop.time()
        try:
            description = await describe()
        except BridgeError:
            self._counters.leg_setup(self.kind, "refused", loop.time() - began)
            raise
        self._take_ends()
        self._counters.setup_stage("answer", loop.time() - began)
        return description

    def _take_ends(self) -> None:
        """Take the ends for the bus from the sessions."""
        self.source, self.sink = self._media.heard, self._media.peer.session
        self._begun = True

    async def _send_digits(self) -> None:
        """Send a packet of the queued digits every 20 ms; wait while there are none."""
        loop = asyncio.get_running_loop()
        while True:
            await self._digits.wait()
            self._digits.clear()
            due = loop.time()
            while self._media.peer.session.digits_pending and not self._media.peer.suspended:
                self._media.peer.session.tick(loop.time())
                due += FRAME_SECONDS
                await asyncio.sleep(max(0.0, due - loop.time()))


def make_reports(took: Callable[[float], None] = lambda seconds: None) -> Reports:
    """Return the reports of legs; `took` is called with the seconds of each step."""
    return Periodic(
        WebRtcLeg.report,
        period=REPORT_SECONDS,
        slots=REPORT_SLOTS,
        at_once=REPORTS_AT_ONCE,
        took=took,
    )
