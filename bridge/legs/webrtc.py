"""A party in a browser or app: Opus RTP over WebRTC, answered on one UDP port."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from bridge.audio.frame import FRAME_SECONDS
from bridge.call import events
from bridge.call.ends import Sink, Source
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.errors import BridgeError
from bridge.legs import setup
from bridge.legs.setup import PeerFactory

__all__ = ["PeerFactory", "SetupCounters", "WebRtcLeg"]

log = logging.getLogger(__name__)

PULSE_SECONDS = 0.5
SLOT_SECONDS = 0.02
"""Pulses happen at multiples of this: those of several legs in one waking, which costs a fraction.

A longer one would keep packets waiting behind the pulses of many legs."""
SILENT_AFTER_SECONDS = 2.0
"""A leg that was sending and has sent nothing for this long is reported silent."""


class SetupCounters(setup.SetupCounters, Protocol):
    """Counts how set-ups and ICE restarts went; `metrics.registry.Metrics` is one."""

    def ice_restart(self, outcome: str) -> None:
        """A leg changes its network: `started`, `succeeded` or `failed`."""
        ...


class WebRtcLeg:
    """A WebRTC peer as a leg; `accept` answers its offer, `run` then connects and lives."""

    kind = LegKind.WEBRTC

    def __init__(
        self,
        leg_id: LegId,
        *,
        peer: PeerFactory,
        counters: SetupCounters,
    ) -> None:
        """Make a leg.

        Args:
            leg_id: unique within the call.
            peer: makes the leg's peer, given who is told each digit it sends and how an ICE
                restart went.
            counters: count set-ups and ICE restarts.
        """
        self.leg_id = leg_id
        self._peer = peer(self._digit, self._restarted)
        self._counters = counters
        self._emit: Callable[[events.LegEvent], None] | None = None
        self._silent = False
        self._digits = asyncio.Event()
        self._digits_dropped = False
        self._offered_at = 0.0
        """Of the first offer, by the loop's clock."""

    @property
    def source(self) -> Source:
        """What the browser's microphone gives; there is one once `accept` has answered."""
        return self._peer.session

    @property
    def sink(self) -> Sink:
        """What the browser's speaker gets; there is one once `accept` has answered."""
        return self._peer.session

    async def accept(self, offer: str) -> str:
        """Give the answer to the first offer; cancellation frees what was gathered.

        Raises:
            SdpError: the offer cannot be answered.
            LimitExceeded: every UDP port of `rtc.ports` is in use.
        """
        loop = asyncio.get_running_loop()
        began = self._offered_at = loop.time()
        try:
            answer = await self._peer.create_answer(offer)
        except BridgeError:
            self._counters.leg_setup(self.kind, "refused", loop.time() - began)
            raise
        self._counters.setup_stage("answer", loop.time() - began)
        return answer

    async def reoffer(self, offer: str) -> str:
        """Answer a further offer: an ICE restart, a renegotiation or a reloaded page.

        Raises:
            SdpError, LimitExceeded: as `accept`; the leg goes on as it was.
        """
        answer, kind = await self._peer.reoffer(offer)
        if kind == "restart":
            self._counters.ice_restart("started")
        log.info("leg.reoffered", extra={"leg": self.leg_id, "kind": kind})
        return answer

    async def run(self, emit: Callable[[events.LegEvent], None]) -> None:
        """Connect and live until the peer is gone (`legs.base.Leg.run`)."""
        self._emit = emit
        try:
            if await setup.connect(
                self._peer, self._counters, kind=self.kind, began=self._offered_at
            ):
                emit(events.LegConnected(self.leg_id))
                reason = await self._live(emit)
                emit(events.LegEnded(self.leg_id, reason))
            else:
                emit(events.LegEnded(self.leg_id, EndReason.FAILED))
        finally:
            self._emit = None
            await self._peer.aclose()

    def send_digits(self, digits: str) -> None:
        """Send DTMF as telephone-events; dropped when the peer takes none, or no more of them."""
        if self._peer.session.send_digits(digits):
            self._digits.set()
        elif not self._digits_dropped:
            # Once: the party at the other end may press a key with every packet.
            self._digits_dropped = True
            log.warning("leg.digits_dropped", extra={"kind": self.kind})

    def statistics(self) -> LegStatistics:
        """The leg's figures until now."""
        return self._peer.statistics()

    async def aclose(self) -> None:
        """Free a leg that was never run."""
        await self._peer.aclose()

    async def _live(self, emit: Callable[[events.LegEvent], None]) -> EndReason:
        async with asyncio.TaskGroup() as group:
            pulses = group.create_task(self._pulse(emit), name=f"pulse {self.leg_id}")
            digits = group.create_task(self._pace_digits(), name=f"digits {self.leg_id}")
            reason = await self._peer.wait_closed()
            pulses.cancel()
            digits.cancel()
        log.info("leg.closed", extra={"reason": reason})
        if reason == "closed":
            return EndReason.REMOTE_HANGUP
        self._counters.transport_failed("ice", reason)
        return EndReason.MEDIA_TIMEOUT

    async def _pulse(self, emit: Callable[[events.LegEvent], None]) -> None:
        """Send reports and watch for silence."""
        loop = asyncio.get_running_loop()
        odd = False
        while True:
            await asyncio.sleep(_until_pulse(loop.time()))
            session, now = self._peer.session, loop.time()
            odd = not odd
            if odd:
                session.report(now, datetime.now(UTC).timestamp())
            if session.needs_tick:
                session.tick(now)
            last = session.last_received()
            silent = last is not None and now - last >= SILENT_AFTER_SECONDS
            if silent != self._silent:
                self._silent = silent
                event = events.LegSilent if silent else events.LegResumed
                emit(event(self.leg_id))
                log.info("leg.silent" if silent else "leg.resumed", extra={"kind": self.kind})

    async def _pace_digits(self) -> None:
        """Send queued digits, a packet every 20 ms, and sleep while there are none."""
        loop = asyncio.get_running_loop()
        while True:
            await self._digits.wait()
            self._digits.clear()
            due = loop.time()
            while self._peer.session.digits_pending:
                self._peer.session.tick(loop.time())
                due += FRAME_SECONDS
                await asyncio.sleep(max(0.0, due - loop.time()))

    def _restarted(self, succeeded: bool) -> None:  # noqa: FBT001 - the peer's signature
        self._counters.ice_restart("succeeded" if succeeded else "failed")

    def _digit(self, digit: str) -> None:
        if self._emit is not None:
            self._emit(events.DigitReceived(self.leg_id, digit))


def _until_pulse(now: float) -> float:
    """Seconds to the slot that is nearest to the next pulse."""
    slot = min(SLOT_SECONDS, PULSE_SECONDS)
    return round((now + PULSE_SECONDS) / slot) * slot - now
