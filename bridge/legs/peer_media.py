"""What the legs of browsers and of WhatsApp users share: one WebRTC peer, from set-up to its end."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from bridge.call.bus.silence_detector import SilenceDetector
from bridge.call.events import DigitReceived, LegReported, LegSilent
from bridge.call.model import EndReason, LegId, LegKind
from bridge.errors import NegotiationFailed
from bridge.legs.base import Emit, drop, run_until
from bridge.metrics.calls import SetupMetrics
from bridge.rtc.peer import Peer
from bridge.wire.call_event import EventType
from bridge.wire.snapshot.peer import PeerSnapshot

log = logging.getLogger(__name__)

PeerFactory: TypeAlias = Callable[[Callable[[str], None], Callable[[bool], None]], Peer]
"""Makes a leg's peer, given callbacks for each digit it sends and for how an ICE restart ended."""


class PeerMedia:
    """A leg's peer: brings it up, watches it, and says why it closed."""

    def __init__(
        self, leg_id: LegId, kind: LegKind, *, peer: PeerFactory, counters: SetupMetrics
    ) -> None:
        self.peer = peer(self._digit_received, self._restarted)
        self.emit: Emit = drop
        """Set while the leg runs; digits received before are dropped."""
        self._leg_id = leg_id
        self._kind = kind
        self._counters = counters
        self._silence = SilenceDetector(leg_id)
        self._digits_dropped = False

    @property
    def silent(self) -> bool:
        """Whether the peer was reported silent."""
        return self._silence.silent

    def restore(
        self, peer: PeerSnapshot, sockets: Sequence[socket.socket], *, silent: bool
    ) -> None:
        """Go on with another process's peer; raises `HandoverRefused` as `Peer.restore`."""
        self.peer.restore(peer, sockets)
        self._silence.silent = silent

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
        closed = await run_until(self.peer.wait_closed(), self._leg_id, **work)
        log.info("leg.closed", extra={"reason": closed})
        if closed == "closed":
            return EndReason.REMOTE_HANGUP
        self._counters.transport_failed("ice", closed)
        return EndReason.MEDIA_TIMEOUT

    def report(self, now: float) -> None:
        """Send an RTCP report; to be called about once a second."""
        self.peer.session.report(now, datetime.now(UTC).timestamp())

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

    def _digit_received(self, digit: str) -> None:
        self.emit(DigitReceived(self._leg_id, digit))

    def _restarted(self, succeeded: bool) -> None:  # noqa: FBT001 - the peer's signature
        self._counters.ice_restart("succeeded" if succeeded else "failed")
        data = {"succeeded": succeeded}
        self.emit(LegReported(self._leg_id, EventType.LEG_RESTARTED, data))
