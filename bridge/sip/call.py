"""One SIP call: an INVITE dialog, and the dispatch of its requests to its parts."""

from typing import TYPE_CHECKING

from bridge.sip.dialog import restored_dialog
from bridge.sip.events import DigitSignalled, Ended
from bridge.sip.invite_in import IncomingInvite
from bridge.sip.invite_out import OutgoingInvite
from bridge.sip.message.body import digit_of, put_digit
from bridge.sip.message.message import Request, Response, SipError
from bridge.sip.message.values import Uri
from bridge.sip.offers import Offers
from bridge.sip.reason import reasons
from bridge.sip.session import Phase, Session
from bridge.sip.snapshot import SipCallSnapshot
from bridge.sip.stack import ALLOW, SUPPORTED
from bridge.sip.transfer import Transfer, replaces_value
from bridge.wire.snapshot_fields import copied, restored

if TYPE_CHECKING:
    from bridge.sip.boundary import Dial, Target
    from bridge.sip.dialog import Dialog
    from bridge.sip.session_timer import SessionTimer
    from bridge.sip.transaction.server import ServerTransaction

MAX_DIGITS = 64
CHANGES = frozenset({"INVITE", "UPDATE", "REFER"})
"""Requests that would change an answered call."""


class SipCall:
    """Dispatches the owner's commands and the far side's requests to the parts of the call."""

    def __init__(self, session: Session, timer: "SessionTimer", *, caller: bool) -> None:
        self.session = session
        self._timer = timer
        self._caller = caller
        self._offers = Offers(session, timer, caller=caller)
        self._transfer = Transfer(session)
        self._incoming: IncomingInvite | None = None
        self._outgoing: OutgoingInvite | None = None
        self._digits: list[tuple[str, float]] = []
        self._digit_under_way = False

    def dial(self, dial: "Dial", now: float) -> None:
        """Begin with an INVITE of ours."""
        self._outgoing = OutgoingInvite(self.session, dial, self._timer, self._offers.opened)
        self._outgoing.start(now)

    def invited(self, transaction: "ServerTransaction", sdp: str) -> None:
        """Begin with an INVITE of theirs."""
        self._incoming = IncomingInvite(self.session, transaction, self._timer, sdp)

    def restore(self, snapshot: SipCallSnapshot, now: float) -> None:
        """Begin as the call of a snapshot."""
        session = self.session
        session.phase = Phase.CONFIRMED
        session.dialog = restored_dialog(session.stack, snapshot.dialog)
        restored(session, snapshot, without=["caller", "dialog", "timer"])
        self._timer.restore(snapshot.timer, now)
        self._offers.opened(now)

    def target(self) -> "Target | None":
        """Return where our next request goes; None before there is a dialog."""
        return None if self.session.dialog is None else self.session.dialog.target()

    def relocate(self, connection: int) -> None:
        """Use another socket (`Dialog.relocate`)."""
        if self.session.dialog is not None:
            self.session.dialog.relocate(connection, self.session.rules.host)

    def set_alternate(self, target: "Target") -> None:
        """Send our BYE there if it does not get through, because the connection of the far side has ended."""
        if self.session.dialog is not None:
            self.session.dialog.alternate = target

    def snapshot(self) -> SipCallSnapshot | None:
        """Return the call as data; None while anything is under way in it, or if only their connection reaches its caller."""
        session, dialog = self.session, self.session.dialog
        waits = self._incoming is not None and self._incoming.waits_for_ack
        quiet = self._offers.idle and self._transfer.idle and not self._digits
        if dialog is None or session.phase is not Phase.CONFIRMED:
            return None
        if waits or not quiet or session.asks:
            return None
        theirs = not self._caller and dialog.flow.transport != "udp"
        if theirs and dialog.target() is dialog.flow and dialog.alternate is None:
            return None  # nobody else can open another
        return copied(
            SipCallSnapshot,
            session,
            caller=self._caller,
            dialog=dialog.snapshot(),
            timer=self._timer.snapshot(),
        )

    @property
    def rings_here(self) -> bool:
        """Whether it is inbound and unanswered."""
        return self._incoming is not None and self.session.phase is Phase.EARLY

    # Commands

    def ring(self, now: float, sdp: str = "") -> None:
        """Send 180, or 183 with early media."""
        if self._incoming and self.session.phase is Phase.EARLY:
            self._incoming.ring(sdp, now)

    def answer(self, sdp: str, now: float) -> None:
        """Answer the pending INVITE, re-INVITE or UPDATE with 200."""
        if self._offers.waiting:
            self._offers.answer(sdp, now)
        elif self._incoming and self.session.phase is Phase.EARLY:
            self._incoming.answer(sdp, now)

    def refuse(self, code: int, now: float) -> None:
        """Answer the pending INVITE, re-INVITE or UPDATE with a final error."""
        code = code if 300 <= code <= 699 else 488
        if self._offers.waiting:
            self._offers.refuse(code, now)
        elif self._incoming and self.session.phase is Phase.EARLY:
            self._incoming.refuse(code, now)

    def reoffer(self, sdp: str, now: float) -> None:
        """Send a re-INVITE; `OfferAnswered` or `OfferRefused` follows."""
        if self.session.phase <= Phase.CONFIRMED:
            self._offers.reoffer(sdp, now)

    def refer(self, uri: str, now: float, replaces: "SipCall | None" = None) -> None:
        """Send a REFER; `TransferProgressed` follows.

        With `replaces` the other side takes over that dialog, at its far side unless `uri` says where.

        Raises:
            ValueSyntaxError: the URI is malformed.
        """
        if uri:
            Uri.parse(uri)
        value = ""
        if replaces and replaces.session.dialog:
            dialog = replaces.session.dialog
            value = replaces_value(dialog.call_id, dialog.remote_tag, replaces.session.id)
            uri = uri or dialog.remote_target
        self._transfer.refer(uri, now, value)

    def notify_transfer(self, code: int, now: float) -> None:
        """Report the progress of the call that their REFER asked for (NOTIFY, RFC 3515)."""
        self._transfer.notify(code, now)

    def send_digit(self, digit: str, seconds: float, now: float) -> None:
        """Send a digit by INFO, one request at a time, in order; dropped when `MAX_DIGITS` are queued."""
        if self.session.phase is Phase.CONFIRMED and len(self._digits) < MAX_DIGITS:
            self._digits.append((digit, seconds))
            self._next_digit(now)

    def hang_up(self, now: float, code: int = 0) -> None:
        """End it by CANCEL, BYE, or the final response `code` (0: 480); only `Closed` follows."""
        if self.session.phase >= Phase.ENDING:
            return
        if self._incoming:
            self._incoming.hang_up(code, now)
        elif self._outgoing and self.session.phase is Phase.EARLY:
            self._outgoing.hang_up(now)
        else:
            self.session.end(None, now, bye=True)

    # Requests of the far side

    def dialog_with(self, tag: str) -> "Dialog | None":
        """Return the dialog with the far side's tag: the call's own, or that of a fork."""
        dialog = self.session.dialog
        if dialog is not None and dialog.remote_tag == tag:
            return dialog
        return self._outgoing.fork(tag) if self._outgoing else None

    def acknowledged(self, request: Request, now: float) -> None:
        """Take an ACK."""
        if self._incoming and self._incoming.acknowledged(request, now):
            self._offers.opened(now)
        else:
            self._offers.acknowledged(request, now)

    def canceled(self, invite: "ServerTransaction", request: Request, now: float) -> None:
        """Take the CANCEL of an INVITE."""
        if self._offers.waiting is invite:
            self._offers.canceled(now)
        elif self._incoming:
            self._incoming.canceled(request, now)

    def receive(self, transaction: "ServerTransaction", now: float) -> None:
        """Take a request in the dialog."""
        request = transaction.request
        dialog = self.session.dialog
        try:
            if dialog is None:
                raise SipError(481, "no dialog")
            if self.session.phase > Phase.EARLY and request.headers.from_.tag != dialog.remote_tag:
                self._end_fork(transaction, now)
                return
            if not dialog.in_order(request):
                raise SipError(500, "an older request")
            if not self._caller:
                dialog.flow = transaction.source  # the far side may have reconnected
            if self.session.phase >= Phase.ENDING and request.method != "BYE":
                raise SipError(481, "the dialog has ended")
            self._handle(request.method, transaction, now)
        except SipError as error:
            self.session.respond(transaction, error.code, now, *error.headers)

    def _end_fork(self, transaction: "ServerTransaction", now: float) -> None:
        """Answer a fork that has lost the call: it may end its own dialog only."""
        code = 200 if transaction.request.method == "BYE" else 481
        self.session.respond(transaction, code, now)

    def _handle(self, method: str, transaction: "ServerTransaction", now: float) -> None:
        if method == "BYE":
            self._bye(transaction, now)
        elif method in CHANGES and self.session.rules.bye_only:
            raise SipError(488, "the call cannot be changed")
        elif method in ("INVITE", "UPDATE"):
            self._offer(transaction, now)
        elif method == "PRACK" and self._incoming:
            self._incoming.prack(transaction, now)
        elif method == "REFER" and self.session.phase is Phase.CONFIRMED:
            self._transfer.receive(transaction, now)
        elif method == "NOTIFY":
            self._transfer.notified(transaction, now)
        elif method == "INFO":
            self._info(transaction, now)
        elif method == "OPTIONS":
            self.session.respond(transaction, 200, now, ("Allow", ALLOW), ("Supported", SUPPORTED))
        else:
            raise SipError(481, "not in this state of the dialog")

    def _bye(self, transaction: "ServerTransaction", now: float) -> None:
        self.session.respond(transaction, 200, now)
        request = transaction.request
        if self._incoming and self.session.phase is Phase.EARLY:
            self._incoming.canceled(request, now)
            return
        causes = reasons(request.headers)
        if self.session.phase is Phase.ENDING and self._incoming and self._incoming.waits_for_ack:
            self.session.close(now)  # our BYE waited for the ACK
        self.session.end(Ended(causes.get("q.850"), causes.get("sip")), now, bye=False)

    def _offer(self, transaction: "ServerTransaction", now: float) -> None:
        confirmed = self.session.phase is Phase.CONFIRMED
        if confirmed:
            ready = not (self._incoming and self._incoming.waits_for_ack)
        elif transaction.request.method == "UPDATE":
            completed = self._incoming.offer_completed if self._incoming else True
            ready = completed
        elif self._outgoing:
            raise SipError(491, "our INVITE is under way")
        else:
            ready = False
        self._offers.receive(transaction, now, may_offer=ready)

    def _info(self, transaction: "ServerTransaction", now: float) -> None:
        pressed = digit_of(transaction.request)
        self.session.respond(transaction, 200, now)
        if pressed:
            self.session.happened(DigitSignalled(*pressed))

    def _next_digit(self, now: float) -> None:
        if self._digit_under_way or not self._digits or self.session.phase is not Phase.CONFIRMED:
            return
        request = self.session.request("INFO")
        put_digit(request, *self._digits.pop(0))
        self._digit_under_way = True
        self.session.send(request, self._digit_sent, now)

    def _digit_sent(self, response: Response, now: float) -> None:
        if response.code >= 200:
            self._digit_under_way = False
            self._next_digit(now)
