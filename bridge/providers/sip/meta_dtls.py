"""The signalling of a WhatsApp leg with WebRTC media over a SIP dialog with Meta's server."""

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.call.model import EndReason
from bridge.legs import sip_reasons
from bridge.legs.cloud import CloudLeg
from bridge.sip import events
from bridge.sip.snapshot import SipCallSnapshot
from bridge.trunk.dialog import AgentDialog
from bridge.whatsapp.sip_refusals import refused

DIALLED_SECONDS: Final = 1.0
"""A dial that Meta has not refused by then counts as accepted."""


class DialogSignalling:
    """One call's SIP dialog as a WhatsApp leg uses it (`legs.cloud.Signalling`)."""

    def __init__(self, dialog: AgentDialog, wacid: str = "") -> None:
        """`wacid` is Meta's id of an inbound call."""
        self._dialog = dialog
        self._wacid = wacid or "sip"
        self._leg: CloudLeg | None = None
        self._progressed = asyncio.Event()
        """Meta has said something about our INVITE."""
        self._rang = self._answered = self._refused = False

    @property
    def wacid(self) -> str:
        """Meta's id of the call; of an outbound one, for which Meta sends none, a word that stands for it."""
        return self._wacid

    def follow(self, leg: CloudLeg) -> None:
        """Report what happens to the dialog to its leg; an inbound call rings."""
        self._leg = leg
        self._dialog.on_event = self._happened
        if leg.is_inbound:
            self._dialog.ring()

    async def connect(self, leg: CloudLeg, offer: str) -> None:
        """Dial (`legs.cloud.Connect`)."""
        self._dialog.invite(offer)
        try:
            async with asyncio.timeout(DIALLED_SECONDS):
                await self._progressed.wait()
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self._dialog.hang_up()
            raise
        if not self._refused:
            self._note_dialled(leg)

    async def pre_accept(self, call_id: str, sdp: str) -> None:
        """Do nothing: SIP has no such thing at Meta."""

    async def accept(self, call_id: str, sdp: str) -> None:
        """Answer an inbound call."""
        self._answered = True
        self._dialog.answer(sdp)

    async def reject(self, call_id: str) -> None:
        """Refuse an inbound call."""
        self._dialog.hang_up(sip_reasons.refusal_code(EndReason.REJECTED))
        await self._dialog.wait_closed()

    async def terminate(self, call_id: str) -> None:
        """End a call, by CANCEL or BYE."""
        self._dialog.hang_up()
        await self._dialog.wait_closed()

    def suspend(self, call_id: str) -> Callable[[], None]:
        """Drop requests in the dialog, which are sent again; return what takes them again."""
        self._dialog.suspend()
        return self._dialog.resume

    def snapshot(self) -> SipCallSnapshot:
        """Return the dialog; raises `HandoverRefused` as `AgentDialog.snapshot`."""
        return self._dialog.snapshot()

    def abandon(self) -> None:
        """Forget the dialog, which another process has."""
        self._dialog.abandon()

    def _happened(self, event: events.DialogEvent) -> None:
        leg = self._leg
        if leg is None:
            return
        match event:
            case events.Ringing():
                self._note_dialled(leg)
                self._rang = True
                leg.ringing()
            case events.Answered(sdp):
                self._note_dialled(leg)
                self._answered = True
                leg.set_answer(sdp)
                leg.accepted()
            case events.Refused():
                reason, error = refused(event, rang=self._rang)
                self._refused = error is not None
                if error is None:
                    self._note_dialled(leg)
                leg.terminated(reason, error)
            case events.Ended(cause, code):
                reason = sip_reasons.ended_reason(code, cause, connected=self._answered)
                leg.terminated(reason)
            case _:
                pass  # neither side changes the call
        self._progressed.set()

    def _note_dialled(self, leg: CloudLeg) -> None:
        """Report the call accepted, before what comes of it."""
        if not leg.is_inbound and not leg.wacid:
            leg.dialled(self._wacid)
