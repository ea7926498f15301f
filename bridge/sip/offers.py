"""Offers in a dialog: re-INVITE and UPDATE (RFC 3261 section 14, RFC 3311), theirs and ours."""

from functools import partial
from typing import TYPE_CHECKING

from bridge.sip.events import Ended, OfferAnswered, Offered, OfferRefused
from bridge.sip.message.body import put_sdp, readable_sdp, sdp_of
from bridge.sip.message.message import Request, Response, SipError
from bridge.sip.reason import TIMED_OUT
from bridge.sip.retransmission import Retransmission
from bridge.sip.session import Phase, Session
from bridge.sip.session_timer import SessionTimer, check_interval
from bridge.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from bridge.sip.boundary import Target
    from bridge.sip.exchange import Exchange
    from bridge.sip.transaction.timers import Timer

DECIDE_WITHIN = 20.0
"""Seconds for our answer to their offer; then 488."""
OFFER_SECONDS = 60.0
"""Seconds for the final response to our re-INVITE; then CANCEL."""
MAX_ACKS = 4
"""ACKs kept for retransmitted 2xx."""
GONE = (408, 481)
"""Responses that end the dialog (RFC 3261 section 12.2.1.2)."""


class Offers:
    """One offer at a time; while one is pending, the last of ours is queued."""

    def __init__(self, session: Session, timer: SessionTimer, *, caller: bool) -> None:
        self._session = session
        self._timer = timer
        self._caller = caller
        """Whether the Call-ID is ours, which decides who waits longer after a collision."""
        self.waiting: ServerTransaction | None = None
        """The transaction of their pending offer."""
        self._decide: Timer | None = None
        self._late_offer = False
        self._answer: Retransmission | None = None
        self._ours: Exchange | None = None
        self._timeout: Timer | None = None
        self._retry: Timer | None = None
        self._queued = ""
        self._opened = False
        """Whether the first INVITE has been acknowledged: no other before that."""
        self._refreshing = False
        self._acks: dict[int, tuple[bytes, Target]] = {}
        timer.refresh = self.refresh
        session.on_ending = self._drop

    # Theirs

    def receive(self, transaction: ServerTransaction, now: float, *, may_offer: bool) -> None:
        """Take a re-INVITE or UPDATE.

        Raises:
            SipError: it cannot be taken now.
        """
        request = transaction.request
        check_interval(request)
        sdp = sdp_of(request)
        self._session.learn(request)
        if request.method == "UPDATE" and not sdp:
            self._moved(request)
            self._session.respond(transaction, 200, now, *self._timer.answer(request, now))
            return
        if self.waiting is not None or self._unacknowledged or not may_offer:
            pause = str(int(self._session.stack.fraction() * 10))
            raise SipError(500, "another offer is pending", headers=(("Retry-After", pause),))
        if self._ours is not None:
            raise SipError(491, "an offer of ours is pending")
        self._moved(request)
        self.waiting, self._late_offer = transaction, not sdp
        self._decide = self._session.after(DECIDE_WITHIN, lambda now: self.refuse(488, now), now)
        if request.method == "INVITE":
            self._session.respond(transaction, 100, now)
        self._session.happened(Offered(sdp))

    def answer(self, sdp: str, now: float) -> None:
        """Take their offer."""
        transaction = self._take()
        if transaction is None:
            return
        request = transaction.request
        self._session.local_sdp = sdp
        response = self._session.response(request, 200, *self._timer.answer(request, now))
        put_sdp(response, sdp)
        if request.method == "INVITE":
            self._answer = Retransmission(self._session, transaction, response, self._lost)
            self._answer.send(now)
        else:
            transaction.respond(response, now)
            self._next(now)

    def refuse(self, code: int, now: float) -> None:
        """Refuse their offer; what was agreed before stays."""
        transaction = self._take()
        if transaction is not None:
            self._session.respond(transaction, code, now)
            self._next(now)

    def acknowledged(self, request: Request, now: float) -> None:
        """Take the ACK of our 200."""
        answer = self._answer
        if answer is None or answer.acknowledged or request.headers.cseq.number != answer.number:
            return
        answer.acknowledged = True
        if self._late_offer:
            self._session.happened(OfferAnswered(readable_sdp(request)))
        self._next(now)

    def canceled(self, now: float) -> None:
        """Take the CANCEL of a re-INVITE."""
        self.refuse(487, now)

    @property
    def idle(self) -> bool:
        """Whether the dialog is open, and no offer is pending or queued."""
        paused = self._retry is not None and self._retry.action is not None
        return self._opened and not self._busy and not self._queued and not paused

    @property
    def _unacknowledged(self) -> bool:
        return self._answer is not None and not self._answer.acknowledged

    @property
    def _busy(self) -> bool:
        return self._ours is not None or self.waiting is not None or self._unacknowledged

    def _moved(self, request: Request) -> None:
        if self._session.dialog:
            self._session.dialog.refresh(request)

    def _take(self) -> ServerTransaction | None:
        transaction, self.waiting = self.waiting, None
        if self._decide:
            self._decide.cancel()
        return transaction

    def _drop(self, now: float) -> None:
        """Answer the pending offer when the dialog ends (RFC 3261 section 15.1.2)."""
        transaction = self._take()
        if transaction is not None:
            self._session.respond(transaction, 487, now)
        if self._ours is not None:
            self._ours.abandon(now)

    def _lost(self, now: float) -> None:
        """End the call: the far side does not answer any more, or has no such dialog."""
        self._session.end(Ended(code=408), now, bye=True, reason=TIMED_OUT)

    # Ours

    def reoffer(self, sdp: str, now: float) -> None:
        """Send a re-INVITE, or queue it until the pending offer is answered."""
        self._queued = sdp
        self._next(now)

    def opened(self, now: float) -> None:
        """Send the queued offer, now that the first INVITE has been acknowledged."""
        self._opened = True
        self._next(now)

    def refresh(self, now: float) -> None:
        """Refresh the session, by UPDATE where the far side takes it."""
        if self._busy or not self._opened:
            self._timer.refresh_later(now)
            return
        if "update" in self._session.allows:
            request = self._session.request("UPDATE")
            self._timer.offer(request.headers)
            self._session.send(request, self._refreshed, now)
        else:
            self._refreshing = True
            self._send(self._session.local_sdp, now)

    def _refreshed(self, response: Response, now: float) -> None:
        if response.code < 200:
            return
        if response.code < 300:
            if self._session.dialog:
                self._session.dialog.refresh(response)
            self._timer.agreed(response, now)
        elif response.code in GONE:
            self._lost(now)
        else:
            self._timer.refused(response, now)

    def _next(self, now: float) -> None:
        """Send the queued offer, if none is pending."""
        paused = self._retry is not None and self._retry.action is not None
        ready = self._opened and self._session.phase is Phase.CONFIRMED
        if self._queued and ready and not paused and not self._busy:
            sdp, self._queued = self._queued, ""
            self._refreshing = False
            self._send(sdp, now)

    def _send(self, sdp: str, now: float) -> None:
        request = self._session.request("INVITE")
        self._timer.offer(request.headers)
        put_sdp(request, sdp)
        self._timeout = self._session.after(OFFER_SECONDS, self._too_long, now)
        self._ours = self._session.send(request, partial(self._received, sdp), now)

    def _received(self, sdp: str, response: Response, now: float) -> None:
        if 200 <= response.code < 300:
            self._accepted(sdp, response, now)
        elif response.code >= 300 and self._ours is not None:
            self._declined(sdp, response, now)

    def _accepted(self, sdp: str, response: Response, now: float) -> None:
        number = response.headers.cseq.number
        stack, dialog = self._session.stack, self._session.dialog
        if number not in self._acks and dialog and self._ours:
            dialog.refresh(response)
            ack = dialog.request("ACK", number=number)
            for name in ("authorization", "proxy-authorization"):
                ack.headers.put(name, *self._ours.request.headers.all(name))
            self._acks[number] = bytes(ack), dialog.target()
            if len(self._acks) > MAX_ACKS:
                del self._acks[min(self._acks)]
            stack.transactions.send_once(*self._acks[number])
            self._completed()
            self._agreed(sdp, response, now)
        elif number in self._acks:
            stack.transactions.send_once(*self._acks[number])

    def _agreed(self, sdp: str, response: Response, now: float) -> None:
        if self._session.phase is not Phase.CONFIRMED:
            return
        self._session.local_sdp = sdp
        self._timer.agreed(response, now)
        answer = readable_sdp(response)
        unchanged = self._refreshing and answer == self._session.remote_sdp
        self._session.remote_sdp = answer
        if not unchanged:
            self._session.happened(OfferAnswered(answer))
        self._next(now)

    def _declined(self, sdp: str, response: Response, now: float) -> None:
        self._completed()
        if response.code in GONE:
            self._lost(now)
        elif self._refreshing:
            self._timer.refused(response, now)
            self._next(now)
        elif response.code == 491:
            fraction = self._session.stack.fraction()
            pause = 2.1 + 1.9 * fraction if self._caller else 2.0 * fraction
            self._queued = self._queued or sdp
            self._retry = self._session.after(pause, self._next, now)
        elif response.code == 422 and self._timer.rejected(response):
            self._queued = self._queued or sdp
            self._next(now)
        else:
            self._session.happened(OfferRefused(response.code))
            self._next(now)

    def _completed(self) -> None:
        self._ours = None
        if self._timeout:
            self._timeout.cancel()

    def _too_long(self, now: float) -> None:
        if self._ours is not None:
            self._session.cancel(self._ours, now)
