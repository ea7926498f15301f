"""What the legs of browsers and of WhatsApp users share: a WebRTC peer, from set-up to its end, and for some clients a second."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bridge.call.bus.silence_detector import SilenceDetector
from bridge.call.events import DigitReceived, LegReported, LegSilent
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.errors import HandoverRefused, InvalidState, NegotiationFailed
from bridge.legs.base import Emit, drop, run_until
from bridge.metrics.calls import SetupMetrics
from bridge.rtc.peer import Peer
from bridge.rtp.session import RtpSession
from bridge.wire.call_event import EventType
from bridge.wire.snapshot.peer import PeerSnapshot

log = logging.getLogger(__name__)

PeerFactory: TypeAlias = Callable[[Callable[[str], None], Callable[[bool], None]], Peer]
"""Makes a leg's peer, given callbacks for each digit it sends and for how an ICE restart ended."""


class PeerMedia:
    """A leg's peer: brings it up, watches it, and says why it closed.

    Some clients send on a second connection, the `publisher`; the leg lives for as long as both do.
    """

    def __init__(
        self,
        leg_id: LegId,
        kind: LegKind,
        *,
        peer: PeerFactory,
        counters: SetupMetrics,
        publisher: PeerFactory | None = None,
    ) -> None:
        self.peer = peer(self._digit_received, self._restarted)
        self.publisher: Peer | None = None
        """None where the peer sends on `peer`."""
        if publisher is not None:
            self.publisher = publisher(self._digit_received, self._restarted)
        self.published = asyncio.Event()
        """Set once the publisher has been described."""
        self._restored = False
        """Whether the publisher was connected when another process passed it on."""
        self.emit: Emit = drop
        """Set while the leg runs; digits received before are dropped."""
        self._leg_id = leg_id
        self._kind = kind
        self._counters = counters
        self._silence = SilenceDetector(leg_id)
        self._digits_dropped = False

    @property
    def sessions(self) -> tuple[RtpSession, ...]:
        """The RTP sessions of the connections."""
        if self.publisher is None:
            return (self.peer.session,)
        return (self.peer.session, self.publisher.session)

    @property
    def silent(self) -> bool:
        """Whether the peer was reported silent."""
        return self._silence.silent

    @property
    def heard(self) -> RtpSession:
        """The session that receives what the party says."""
        return (self.publisher or self.peer).session

    def expect(self) -> None:
        """Begin the sessions of peers that will be described later."""
        self.peer.expect_answer()
        if self.publisher is not None:
            self.publisher.expect_answer()

    async def publish(self, offer: str) -> str:
        """Answer an offer of the client's second connection; raises as `Peer.create_answer` and `Peer.reoffer`."""
        assert self.publisher is not None
        if self.published.is_set():
            return (await self.publisher.reoffer(offer))[0]
        answer = await self.publisher.create_answer(offer)
        self.published.set()
        return answer

    def restore(
        self, peer: PeerSnapshot, sockets: Sequence[socket.socket], *, silent: bool
    ) -> None:
        """Go on with another process's peer; raises `HandoverRefused` as `Peer.restore`."""
        self.peer.restore(peer, sockets)
        self._silence.silent = silent

    def suspend_publisher(self) -> tuple[PeerSnapshot | None, list[socket.socket]]:
        """Stop the second connection, if there is one yet (`Peer.suspend`)."""
        if self.publisher is None or not self.published.is_set():
            return None, []
        return self.publisher.suspend()

    def resume(self) -> None:
        """Go on with the connections that are suspended."""
        self.peer.resume()
        if self.publisher is not None:
            self.publisher.resume()

    def restore_publisher(
        self, peer: PeerSnapshot | None, sockets: Sequence[socket.socket]
    ) -> None:
        """Go on with another process's second connection; without one the leg ends when it runs. The sockets are its own."""
        if self.publisher is None:
            return
        if peer is None:
            self.publisher.expect_answer()
            return
        try:
            self.publisher.restore(peer, sockets)
            self._restored = True
        except HandoverRefused as error:
            log.warning("leg.publisher_lost", extra={"leg": self._leg_id, "why": str(error)})
            for one in sockets:
                one.close()
            self.publisher.expect_answer()
        self.published.set()

    def statistics(self) -> LegStatistics:
        """Return the figures until now."""
        found = self.peer.statistics()
        if self.publisher is not None:
            theirs = self.publisher.statistics()
            found.received = theirs.received
            for reason, count in theirs.discarded.items():
                found.discarded[reason] = found.discarded.get(reason, 0) + count
            if found.transport is not None:
                found.transport.sends = self.publisher.session.receives
        return found

    async def aclose(self) -> None:
        """Free everything; safe to repeat."""
        try:
            await self.peer.aclose()
        finally:
            if self.publisher is not None:
                await self.publisher.aclose()

    async def connect(self, began: float) -> bool:
        """Bring up ICE and DTLS; False when they did not come up.

        Set-up began at `began`, by the loop's clock.
        """
        loop = asyncio.get_running_loop()
        try:
            await self.peer.connect()
        except asyncio.CancelledError:
            self._counters.leg_setup(self._kind, "canceled", loop.time() - began)
            raise
        except NegotiationFailed as error:
            outcome = "timeout" if error.reason == "timeout" else "failed"
            self._counters.transport_failed(error.stage, error.reason)
            self._counters.leg_setup(self._kind, outcome, loop.time() - began)
            log.warning("leg.not_connected", extra={"stage": error.stage, "reason": error.reason})
            return False
        seconds = loop.time() - began
        self._counters.leg_setup(self._kind, "connected", seconds)
        timings = self.peer.timings
        self._counters.setup_stage("ice", timings.ice_seconds)
        self._counters.setup_stage("dtls", timings.dtls_seconds)
        log.info("leg.connected", extra={"kind": self._kind, "seconds": round(seconds, 3)})
        return True

    async def run_until_closed(self, **work: Coroutine[Any, Any, None]) -> EndReason:
        """Run tasks, each under its name, until the peer is gone; return why it is."""
        closed = await run_until(self._closed(), self._leg_id, **work)
        log.info("leg.closed", extra={"reason": closed})
        if closed == "closed":
            return EndReason.REMOTE_HANGUP
        self._counters.transport_failed("ice", closed)
        return EndReason.MEDIA_TIMEOUT

    def report(self, now: float) -> None:
        """Send RTCP reports; to be called about once a second."""
        for session in self.sessions:
            session.report(now, datetime.now(UTC).timestamp())

    def check_silence(self, last_received: float | None, now: float) -> None:
        """Emit `LegSilent` or `LegResumed` when that has changed; to be called every 0.5 s."""
        event = self._silence.check(last_received, now)
        if event is not None:
            silent = isinstance(event, LegSilent)
            log.info("leg.silent" if silent else "leg.resumed", extra={"kind": self._kind})
            self.emit(event)

    def send_digits(self, digits: str) -> bool:
        """Send DTMF as telephone-events (RFC 4733); False if the peer takes none, or too many wait."""
        sent = self.peer.session.send_digits(digits)
        if not sent and not self._digits_dropped:
            # Logged once: the party at the other end may press a key with every packet.
            self._digits_dropped = True
            log.warning("leg.digits_dropped", extra={"kind": self._kind})
        return sent

    async def _closed(self) -> str:
        """Return why the first of the connections has closed."""
        if self.publisher is None:
            return await self.peer.wait_closed()
        works = {"peer": self.peer.wait_closed(), "publisher": self._run(self.publisher)}
        loop = asyncio.get_running_loop()
        ends = [loop.create_task(one, name=f"{name} {self._leg_id}") for name, one in works.items()]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _run(self, publisher: Peer) -> str:
        await self.published.wait()
        try:
            if not self._restored:
                await publisher.connect()
        except (NegotiationFailed, InvalidState) as error:
            log.warning(
                "leg.publisher_not_connected", extra={"leg": self._leg_id, "error": str(error)}
            )
            return "failed"
        return await publisher.wait_closed()

    def _digit_received(self, digit: str) -> None:
        self.emit(DigitReceived(self._leg_id, digit))

    def _restarted(self, succeeded: bool) -> None:  # noqa: FBT001 - the peer's signature
        self._counters.ice_restart("succeeded" if succeeded else "failed")
        data = {"succeeded": succeeded}
        self.emit(LegReported(self._leg_id, EventType.LEG_RESTARTED, data))
