"""A telephone behind a SIP trunk: one INVITE dialog, and RTP or SRTP."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Final

from bridge.call import events
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics
from bridge.errors import BridgeError, HandoverRefused, LimitExceeded, SdpError
from bridge.legs import sip_reasons
from bridge.legs.base import Emit, Transferable, drop, refusal_reason, run_until
from bridge.legs.sip_media import (
    USUAL_OPTIONS,
    InboundInvite,
    PlainPeerFactory,
    PortableSip,
    SipMedia,
    SipOptions,
    SipSnapshot,
)
from bridge.metrics.calls import SetupMetrics
from bridge.sip import events as sip
from bridge.trunk.dialog import AgentDialog
from bridge.wire.rtp.telephone_event import DIGIT_SECONDS

log = logging.getLogger(__name__)

DIALLED_SECONDS: Final = 1.0
"""A dial that the trunk has not refused by then counts as accepted, though the telephone may ring later."""
HANG_UP_SECONDS: Final = 0.8
"""How long the leg waits for the end of its dialog; the user agent completes it in the background."""
_NOT_ACCEPTABLE: Final = 488
_RINGING, _PROGRESS = 180, 183


class SipLeg:
    """One telephone call: `inbound`, or an outbound one that `run` dials; or a WhatsApp call that Meta signals so."""

    def __init__(
        self,
        leg_id: LegId,
        *,
        dialog: AgentDialog,
        media: PlainPeerFactory,
        counters: SetupMetrics,
        inbound: InboundInvite | None = None,
        options: SipOptions = USUAL_OPTIONS,
    ) -> None:
        """Make a leg of either kind.

        Raises:
            SdpError: the far side's offer cannot be answered.
        """
        self.leg_id = leg_id
        self.kind: LegKind = options.kind
        self._dialog = dialog
        self._inbound = inbound
        self._options = options
        self._counters = counters
        self._peer = media(self._digit_received, lambda: dialog.signalling_host)
        if inbound is not None and inbound.sdp:
            try:
                self._peer.set_remote(inbound.sdp)
            except SdpError:
                self._peer.session.close()
                raise
        self.source = self.sink = self._peer.session
        self._emit: Emit = drop
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._over: asyncio.Future[EndReason] = loop.create_future()
        self._answer_wanted = asyncio.Event()
        """Our side answers the call."""
        self._refusal: BridgeError | None = None
        self._end_code = 0
        self._invited = inbound is not None
        """Whether there is a dialog to end."""
        self._ended = self._dialled = self._rings = self._early = False
        self._accepted_at: float | None = None
        self._connected = self._held = False
        self._direction = self._offered = "sendrecv"
        """The direction that our side wants, and the one it offered last."""
        self._reoffering = self._restored = self._taken_over = self._gone = False
        self._media = SipMedia(
            leg_id,
            self._peer,
            options=options,
            send_info=lambda digit: dialog.send_digit(digit, DIGIT_SECONDS),
            emit=lambda event: self._emit(event),
            on_timeout=lambda: self._end(EndReason.MEDIA_TIMEOUT),
        )
        self._context = copy_context()
        dialog.on_event = lambda event: self._context.run(self._happened, event)

    async def run(self, emit: Emit) -> None:
        """Dial or ring, and live until the call is over (`legs.base.Leg.run`)."""
        self._emit = emit
        self._context = copy_context()  # what happens to the dialog is logged as this leg's
        try:
            reason = await run_until(
                self._over, self.leg_id, signal=self._signal(), media=self._media.run()
            )
            if reason in sip_reasons.OF_CALLEE:
                self._note_dialled()
            emit(events.LegEnded(self.leg_id, reason, self._refusal))
        finally:
            self._emit = drop
            self._over.cancel()
            # Not in tasks, which would never run if this one was cancelled before its first step.
            if not self._gone:
                try:
                    await self._peer.aclose()
                finally:
                    await self._end_call()

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the leg cannot move now (`legs.base.Movable`)."""
        offering = self._reoffering or self._offered != self._direction
        busy = offering or self._media.digits_pending or self._peer.suspended
        if busy or not self._connected or self._over.done():
            raise HandoverRefused("the telephone call is not answered, or is being changed")
        self._dialog.snapshot()

    def suspend(self) -> tuple[SipSnapshot, list[socket.socket]]:
        """Stop reading and sending (`legs.base.Movable`); requests of the far side are dropped, and come again."""
        dialog = self._dialog.snapshot()
        peer, sockets = self._peer.suspend()
        self._dialog.suspend()
        snapshot = SipSnapshot(peer, dialog, self._media.silent, self._held, self._direction)
        return snapshot, sockets

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._peer.resume()
        self._dialog.resume()

    async def abandon(self) -> None:
        """Free a suspended leg that another process goes on with (`legs.base.Movable`)."""
        self._gone = self._ended = True
        self._dialog.abandon()
        await self._peer.aclose()

    def restore(self, snapshot: SipSnapshot, sockets: Sequence[socket.socket]) -> None:
        """Go on with another process's leg, in the dialog that this one was made for.

        Raises:
            HandoverRefused: as `rtc.plain_peer.PlainPeer.restore`.
        """
        self._peer.restore(snapshot.peer, sockets)
        self.source = self.sink = self._peer.session
        self._media.restore(silent=snapshot.silent)
        self._held, self._direction = snapshot.held, snapshot.direction
        self._offered = snapshot.direction
        self._invited = self._dialled = self._rings = self._connected = True
        self._restored = True

    @property
    def reconnecting(self) -> bool:
        """Whether the far side has yet to agree to talk with this machine (`legs.base.Reconnecting`)."""
        return self._taken_over and not self._connected

    def portable_state(self) -> PortableSip | None:
        """Return the dialog (`legs.base.Portable`)."""
        with suppress(HandoverRefused):
            self.check_movable()
            dialog, own = self._dialog.snapshot().portable(), self._peer.own
            return PortableSip(dialog, self._direction, own.session_id, own.version)
        return None

    def take_over(self, snapshot: PortableSip) -> None:
        """Go on with a dead machine's leg when it is run, by an offer in the dialog that this one was made for."""
        self._direction, own = snapshot.direction, self._peer.own
        own.session_id, own.version = snapshot.session_id, snapshot.session_version
        self._invited = self._dialled = self._rings = self._taken_over = True

    def answer(self) -> None:
        """Accept an inbound call; has no effect on an outbound one."""
        if self._inbound is not None:
            self._answer_wanted.set()

    def send_digits(self, digits: str) -> None:
        """Send DTMF, as telephone events or by INFO; dropped before the answer, or when too many wait."""
        self._media.send_digits(digits)

    def hold(self, *, held: bool) -> None:
        """Put the far side on hold, or end that (`legs.base.Holdable`); it hears silence meanwhile, and a fixed call is told nothing."""
        if self._options.fixed:
            return
        self._direction = "sendonly" if held else "sendrecv"
        self._reoffer()

    def transfer(self, target: str, replaces: Transferable | None = None) -> None:
        """Ask the far side to call somebody else (`legs.base.Transferable`)."""
        other = replaces._dialog if isinstance(replaces, SipLeg) else None
        self._dialog.refer(target, other)

    def report_transfer(self, code: int) -> None:
        """Report the progress of a transfer that the far side asked for (`legs.base.Transferable`)."""
        self._dialog.notify_transfer(code)

    def set_end_reason(self, reason: EndReason) -> None:
        """Set why the leg is about to be cancelled (`legs.base.EndsWithReason`)."""
        self._end_code = sip_reasons.refusal_code(reason)

    def statistics(self) -> LegStatistics:
        """Return the leg's figures until now."""
        return self._peer.statistics()

    async def aclose(self) -> None:
        """Free a leg that was never run, and end its dialog."""
        await asyncio.gather(self._end_call(), self._peer.aclose())

    async def _signal(self) -> None:
        """Dial, or ring until our side answers."""
        if self._restored:
            return
        try:
            if self._taken_over:
                await self._dialog.reach()
                self._dialog.reoffer(await self._peer.create_offer())
            else:
                await (self._call() if self._inbound is None else self._pick_up(self._inbound))
        except BridgeError as error:
            log.warning("leg.signalling_failed", extra={"kind": self.kind, "code": error.code})
            self._refusal = error
            self._end_code = 503 if isinstance(error, LimitExceeded) else 500
            self._end(refusal_reason(error))

    async def _call(self) -> None:
        offer = await self._peer.create_offer()
        self._invited = True
        self._dialog.invite(offer)
        await asyncio.sleep(DIALLED_SECONDS)
        self._note_dialled()

    async def _pick_up(self, inbound: InboundInvite) -> None:
        self._dialog.ring()
        await self._answer_wanted.wait()
        self._accepted_at = self._clock()
        peer = self._peer
        self._dialog.answer(await (peer.create_answer() if inbound.sdp else peer.create_offer()))
        peer.setup.note("accepted", self._clock())
        if inbound.sdp:
            self._connect()

    def _happened(self, event: sip.DialogEvent) -> None:
        """Handle an event of the dialog."""
        if isinstance(event, sip.Refused | sip.Ended):
            self._ended = True
        if self._over.done():
            return
        try:
            self._handle(event)
        except SdpError as error:
            log.warning("leg.invalid_sdp", extra={"kind": self.kind, "code": error.code})
            self._counters.leg_setup(self.kind, "failed", 0.0)
            self._refusal = error
            self._end(EndReason.FAILED)

    def _handle(self, event: sip.DialogEvent) -> None:
        match event:
            case sip.Ringing() | sip.Answered() | sip.Refused() | sip.Ended():
                self._progress(event)
            case sip.Offered(sdp):
                self._take_offer(sdp)
            case sip.OfferAnswered(sdp):
                self._take_answer(sdp)
            case sip.OfferRefused(code):
                log.info("leg.offer_refused", extra={"kind": self.kind, "code": code})
                self._reoffering = False
                if self.reconnecting:
                    self._end(EndReason.FAILED)
            case sip.DigitSignalled(digit, _):
                self._digit_received(digit)
            case sip.TransferRequested(target, uri, replaces):
                self._emit(events.LegTransferRequested(self.leg_id, target, uri, replaces))
            case sip.TransferProgressed(code, final):
                self._emit(events.LegTransferProgressed(self.leg_id, code, final))

    def _progress(self, event: sip.Ringing | sip.Answered | sip.Refused | sip.Ended) -> None:
        match event:
            case sip.Ringing():
                self._ringing(event)
            case sip.Answered(sdp):
                self._answered(sdp)
            case sip.Refused():
                self._refused(event)
            case sip.Ended():
                connected = self._connected or self._taken_over
                self._end(sip_reasons.ended_reason(event.code, event.cause, connected=connected))

    def _ringing(self, event: sip.Ringing) -> None:
        self._note_dialled()
        if not self._rings and (event.code == _RINGING or event.sdp):
            self._rings = True
            self._peer.setup.note("ringing", self._clock())
            self._emit(events.LegRinging(self.leg_id))
        taken = bool(event.sdp) and self._media.take_early(event.sdp)
        if taken and self._options.early_media and not self._early:
            self._early = True
            self._emit(events.LegEarlyMedia(self.leg_id))

    def _answered(self, sdp: str) -> None:
        self._note_dialled()
        self._accepted_at = self._clock()
        if sdp:
            self._peer.set_answer(sdp)
        elif self._peer.audio is None:
            raise SdpError("the answer has no session description")
        self._peer.setup.note("accepted", self._clock())
        self._emit(events.LegAnswered(self.leg_id))
        self._connect()

    def _refused(self, event: sip.Refused) -> None:
        reason, self._refusal = self._options.refused(event, rang=self._rings)
        log.info("leg.refused", extra={"kind": self.kind, "code": event.code})
        self._end(reason)

    def _take_offer(self, sdp: str) -> None:
        """Answer a further offer of the far side, or refuse it with 488 and keep what was agreed."""
        try:
            if sdp:
                self._dialog.answer(self._peer.answer_reoffer(sdp, self._direction))
                self._offered = self._direction
            else:
                self._dialog.answer(self._peer.create_reoffer(self._direction))
                self._reoffering, self._offered = True, self._direction
        except BridgeError as error:
            log.info("leg.reoffer_failed", extra={"kind": self.kind, "code": error.code})
            self._dialog.refuse(_NOT_ACCEPTABLE)
            return
        self._check_hold()

    def _take_answer(self, sdp: str) -> None:
        """Take the answer to our offer: of a re-INVITE, or of the call if the far side asked for ours."""
        self._reoffering = False
        if self._connected:
            with suppress(SdpError):  # what was agreed before stays
                self._peer.set_answer(sdp)
            self._check_hold()
            if self._offered != self._direction:
                self._reoffer()
        else:
            self._peer.set_answer(sdp)
            self._connect()

    def _reoffer(self) -> None:
        """Offer the direction that our side wants, once the last offer is answered."""
        if self._connected and not self._reoffering and self._offered != self._direction:
            self._reoffering, self._offered = True, self._direction
            self._dialog.reoffer(self._peer.create_reoffer(self._direction))

    def _check_hold(self) -> None:
        self._media.listen()
        self._emit(events.LegRenegotiated(self.leg_id))
        if self._peer.held is not self._held:
            self._held = self._peer.held
            log.info("leg.held" if self._held else "leg.unheld", extra={"kind": self.kind})
            self._emit((events.LegHeld if self._held else events.LegUnheld)(self.leg_id))

    def _connect(self) -> None:
        """Report the leg connected: the call is answered, and both sides are described."""
        now = self._clock()
        self._connected = self._media.answered = True
        self._media.may_send.set()
        began = now if self._accepted_at is None else self._accepted_at
        self._counters.leg_setup(self.kind, "connected", now - began)
        told = {"seconds": round(now - began, 3), "sip_call": self._dialog.trace_id}
        log.info("leg.connected", extra={"kind": self.kind} | told)
        self._emit(events.LegConnected(self.leg_id))
        self._check_hold()
        self._reoffer()

    def _note_dialled(self) -> None:
        if self._inbound is None and not self._dialled:
            self._dialled = True
            self._peer.setup.note("dialled", self._clock())
            self._emit(events.LegDialled(self.leg_id))

    def _digit_received(self, digit: str) -> None:
        self._emit(events.DigitReceived(self.leg_id, digit))

    async def _end_call(self) -> None:
        """End the dialog, unless the far side has."""
        if self._ended or not self._invited:
            return
        self._ended = True
        self._dialog.hang_up(self._end_code)
        await self._dialog.wait_closed(HANG_UP_SECONDS)

    def _end(self, reason: EndReason) -> None:
        if self.reconnecting and reason is not EndReason.REMOTE_HANGUP:
            reason = EndReason.NODE_LOST
        if not self._over.done():
            self._over.set_result(reason)
