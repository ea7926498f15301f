"""A WhatsApp user on Meta's Cloud API: Opus RTP over WebRTC, signalled through Meta's servers.

Meta's media server is ICE-lite and expects the business to speak first: we check, we shake hands as
DTLS client, and no packet of sound leaves before the call is accepted. From then on it gets 50
packets a second, whatever the rest of the call does.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from bridge.audio.frame import FRAME_SECONDS
from bridge.call import events
from bridge.call.ends import Sink, Source
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.errors import BridgeError
from bridge.legs.setup import PeerFactory, SetupCounters, connect
from bridge.wire.call_event import EventType

__all__ = ["CloudLeg", "PeerFactory", "Ring", "SetupCounters", "Signalling"]

log = logging.getLogger(__name__)

GOODBYE_SECONDS: Final = 0.8
"""How long the leg's end waits for Meta to take the goodbye, which goes on by itself after that."""
SILENT_AFTER_SECONDS = 2.0
"""A leg that was sending and has sent nothing for this long is reported silent."""

_BEATS_PER_REPORT: Final = 50
_BEATS_PER_LOOK: Final = 25
_MAX_LATE_SECONDS: Final = 3 * FRAME_SECONDS


class Signalling(Protocol):
    """What the leg asks of Meta; every method raises `BridgeError` when Meta refuses."""

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        """Give the answer ahead of `accept`, so that the media road is up before anybody answers."""
        ...

    async def accept(self, call_id: str, sdp: str) -> None:
        """Answer a call that rings us; the description is the one that `pre_accept` was given."""
        ...

    async def reject(self, call_id: str) -> None:
        """Refuse a call that rings us; goes on by itself when its waiter is cancelled."""
        ...

    async def terminate(self, call_id: str) -> None:
        """End a call; goes on by itself when its waiter is cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class Ring:
    """A user rings us: what Meta's `connect` webhook says."""

    wacid: str
    offer: str
    pre_accept: bool = True
    """Whether the media road is to come up before anybody answers."""


class CloudLeg:
    """One call with a WhatsApp user.

    A leg with a ring answers it; one without is made to ring the user: `offer`, then Meta's `connect`
    with that offer, then `wacid` set and the leg run. `take_answer`, `ringing`, `accepted`,
    `rejected` and `terminated` tell what Meta's webhooks say; they may come in any order, repeatedly,
    before the leg runs and after it is over.
    """

    kind = LegKind.WHATSAPP

    def __init__(
        self,
        leg_id: LegId,
        *,
        signalling: Signalling,
        peer: PeerFactory,
        counters: SetupCounters,
        ring: Ring | None = None,
    ) -> None:
        """Make a leg.

        Args:
            leg_id: Unique within the call.
            signalling: Meta's, for this line's number.
            peer: Makes the leg's peer from a configuration with `silence`.
            counters: Count set-ups.
            ring: What rings us; None when we ring the user.

        Raises:
            SdpError: the ring's offer cannot be answered.
        """
        self.leg_id = leg_id
        self.wacid = "" if ring is None else ring.wacid
        """Meta's id of the call; never logged, since it may hold numbers."""
        self._signalling = signalling
        self._counters = counters
        self._ring = ring
        self._peer = peer(self._digit, lambda _: None)
        if ring is not None:
            self._peer.set_remote(ring.offer)
        self._emit: Callable[[events.LegEvent], None] | None = None
        self._early: list[events.LegEvent] = []
        self._answer_sdp = ""
        self._described = asyncio.Event()
        self._accepted = asyncio.Event()
        """We were told to answer, or the user did."""
        self._known = asyncio.Event()
        """Both sides have each other's description."""
        self._allowed = asyncio.Event()
        """Sound may be sent: Meta has taken our `accept`, or told us that the user picked up."""
        self._over = asyncio.Event()
        self._reason = EndReason.HANGUP
        self._goodbye = signalling.terminate if ring is None else signalling.reject
        self._rings = self._silent = self._digits_dropped = self._parted = self._timed = False

    @property
    def source(self) -> Source:
        """What the user says; for a leg that rings the user there is one after `offer`."""
        return self._peer.session

    @property
    def sink(self) -> Sink:
        """What the user hears; likewise."""
        return self._peer.session

    async def offer(self) -> str:
        """Write the offer to ring the user with.

        Raises:
            LimitExceeded: no UDP port is free.
            LegError: a media address cannot be bound.
        """
        return await self._peer.create_offer()

    def take_answer(self, sdp: str) -> None:
        """Learn what Meta's media server answers to the offer; the user has not picked up yet."""
        if not self._answer_sdp:
            self._answer_sdp = sdp
            self._described.set()

    def ringing(self) -> None:
        """Learn that the user's device rings."""
        if not self._rings and not self._accepted.is_set() and not self._over.is_set():
            self._rings = True
            self._tell(events.LegRinging(self.leg_id))

    def accepted(self) -> None:
        """Learn that the user picked up."""
        if self._ring is None and not self._accepted.is_set() and not self._over.is_set():
            self._accepted.set()
            self._tell(events.LegAnswered(self.leg_id))

    def rejected(self) -> None:
        """Learn that the user refused the call."""
        self._gone(EndReason.REJECTED)

    def terminated(self, reason: EndReason = EndReason.REMOTE_HANGUP) -> None:
        """Learn that the call is over at Meta's."""
        self._gone(reason)

    async def run(self, emit: Callable[[events.LegEvent], None]) -> None:
        """Connect and live until the call is over (`legs.base.Leg.run`)."""
        self._emit = emit
        for event in self._early:
            emit(event)
        try:
            async with asyncio.TaskGroup() as group:
                signal = group.create_task(self._signal(), name=f"signal {self.leg_id}")
                media = group.create_task(self._carry(), name=f"media {self.leg_id}")
                await self._over.wait()
                signal.cancel()
                media.cancel()
            emit(events.LegEnded(self.leg_id, self._reason))
        finally:
            self._emit = None
            # Not in tasks: a hang-up may cancel this one now, and tasks that have not begun yet
            # would never free anything.
            try:
                await self._peer.aclose()
            finally:
                await self._part()

    def answer(self) -> None:
        """Accept the call that rings us; does nothing on a leg that rings the user."""
        if self._ring is not None:
            self._accepted.set()

    def send_digits(self, digits: str) -> None:
        """Send DTMF as telephone-events; dropped before the call is accepted, or when too many wait."""
        if not self._peer.session.send_digits(digits) and not self._digits_dropped:
            # Once: the party at the other end may press a key with every packet.
            self._digits_dropped = True
            log.warning("leg.digits_dropped", extra={"kind": self.kind})

    def statistics(self) -> LegStatistics:
        """The leg's figures until now."""
        return self._peer.statistics()

    async def aclose(self) -> None:
        """Free a leg that was never run; Meta is told, where it knows of the call."""
        await asyncio.gather(self._part(), self._peer.aclose())

    async def _signal(self) -> None:
        """Exchange descriptions, and find out when the call is accepted."""
        try:
            await (self._describe() if self._ring is None else self._pick_up(self._ring))
        except BridgeError as error:
            log.warning("leg.not_signalled", extra={"kind": self.kind, "code": error.code})
            self._end(EndReason.FAILED)

    async def _describe(self) -> None:
        await self._described.wait()
        await self._peer.set_answer(self._answer_sdp)
        self._known.set()
        await self._accepted.wait()
        self._allowed.set()

    async def _pick_up(self, ring: Ring) -> None:
        answer = await self._peer.create_answer(ring.offer)
        if ring.pre_accept:
            try:
                await self._signalling.pre_accept(ring.wacid, answer)
                self._known.set()
            except BridgeError as error:
                # It only saves time: `accept` alone is enough.
                log.warning("leg.not_pre_accepted", extra={"kind": self.kind, "code": error.code})
        await self._accepted.wait()
        self._goodbye = self._signalling.terminate
        await self._signalling.accept(ring.wacid, answer)
        self._known.set()
        self._allowed.set()

    async def _carry(self) -> None:
        """Bring up the media road once both sides know each other, and watch it until it is gone."""
        await self._known.wait()
        began = asyncio.get_running_loop().time()
        if not await connect(self._peer, self._counters, kind=self.kind, began=began):
            self._end(EndReason.FAILED)
            return
        async with asyncio.TaskGroup() as group:
            talk = group.create_task(self._talk(), name=f"talk {self.leg_id}")
            reason = await self._peer.wait_closed()
            talk.cancel()
        log.info("leg.closed", extra={"reason": reason})
        if reason == "closed":
            self._end(EndReason.REMOTE_HANGUP)
        else:
            self._counters.transport_failed("ice", reason)
            self._end(EndReason.MEDIA_TIMEOUT)

    async def _talk(self) -> None:
        """Send without a pause from the moment it is allowed, report, and watch for silence."""
        await self._allowed.wait()
        loop, session = asyncio.get_running_loop(), self._peer.session
        due = loop.time()
        session.start_sending(due)
        self._tell(events.LegConnected(self.leg_id))
        beats = 0
        while True:
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))
            now = loop.time()
            due = max(due, now - _MAX_LATE_SECONDS)
            session.tick(now)
            beats += 1
            if beats % _BEATS_PER_REPORT == 0:
                session.report(now, datetime.now(UTC).timestamp())
            if beats % _BEATS_PER_LOOK == 0:
                self._look(session.last_received(), now)

    def _look(self, last: float | None, now: float) -> None:
        silent = last is not None and now - last >= SILENT_AFTER_SECONDS
        if silent != self._silent:
            self._silent = silent
            event = events.LegSilent if silent else events.LegResumed
            self._tell(event(self.leg_id))
            log.info("leg.silent" if silent else "leg.resumed", extra={"kind": self.kind})
        if not self._timed and (trip := self._peer.session.statistics().round_trip_seconds):
            self._timed = True
            latency = {"latencyMs": round(trip * 1000, 1)}
            self._tell(events.LegReported(self.leg_id, EventType.CALL_LATENCY, latency))

    async def _part(self) -> None:
        """Tell Meta, unless it has told us."""
        if self._parted or not self.wacid:
            return
        self._parted = True
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._goodbye(self.wacid)
        except TimeoutError:
            log.info("leg.goodbye_late", extra={"kind": self.kind})
        except BridgeError as error:
            log.warning("leg.goodbye_failed", extra={"kind": self.kind, "code": error.code})

    def _gone(self, reason: EndReason) -> None:
        self._parted = True
        self._end(reason)

    def _end(self, reason: EndReason) -> None:
        if not self._over.is_set():
            self._reason = reason
            self._over.set()

    def _tell(self, event: events.LegEvent) -> None:
        if self._emit is not None:
            self._emit(event)
        elif not self._over.is_set():
            self._early.append(event)

    def _digit(self, digit: str) -> None:
        if self._emit is not None:
            self._emit(events.DigitReceived(self.leg_id, digit))
