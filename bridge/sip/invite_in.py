"""An INVITE to us (RFC 3261 section 13.3), from its arrival to the ACK of our final response."""

from bridge.sip.answer import Answer
from bridge.sip.events import Ended, OfferAnswered
from bridge.sip.message.body import put_sdp, sdp_of
from bridge.sip.message.message import Request, SipError
from bridge.sip.provisional import Provisionals
from bridge.sip.reason import reasons
from bridge.sip.session import Phase, Session
from bridge.sip.session_timer import SessionTimer
from bridge.sip.transaction.server import ServerTransaction

RETRY_AFTER = ("Retry-After", "10")
"""Of a 503: for us there is no room now, or we drain."""
DEFAULT_REFUSAL = 480


class IncomingInvite:
    """Answers one INVITE: provisional responses, then a 2xx or a final error."""

    def __init__(
        self, session: Session, transaction: ServerTransaction, timer: SessionTimer, sdp: str
    ) -> None:
        self._session = session
        self._transaction = transaction
        self._timer = timer
        self._late_offer = not sdp
        self._provisionals = Provisionals(
            session, transaction, lambda now: self.refuse(504, now), self._prack_came
        )
        self._pending_sdp = ""
        self._answer: Answer | None = None
        session.remote_sdp = sdp
        session.learn(transaction.request)

    def ring(self, sdp: str, now: float) -> None:
        """Send 180, or 183 with SDP."""
        if not self._transaction.answered and not self._pending_sdp:
            self._provisionals.send(183 if sdp else 180, sdp, now)

    def answer(self, sdp: str, now: float) -> None:
        """Send 200, at once or after the PRACK of a reliable response with SDP (RFC 3262 section 5)."""
        if self._transaction.answered or self._pending_sdp:
            return
        if self._provisionals.unacknowledged_answer:
            self._pending_sdp = sdp
            return
        self._provisionals.stop()
        self._session.phase = Phase.CONFIRMED
        self._session.local_sdp = sdp
        request = self._transaction.request
        headers = self._timer.answer(request, now)
        response = self._session.response(request, 200, *headers)
        put_sdp(response, sdp)
        self._answer = Answer(self._session, self._transaction, response, self._no_ack)
        self._answer.send(now)

    def refuse(self, code: int, now: float) -> None:
        """Send a final error."""
        if self._transaction.answered:
            return
        self._provisionals.stop()
        self._session.phase = Phase.ENDING
        self._transaction.on_done = self._session.close
        headers = (RETRY_AFTER,) if code == 503 else ()
        self._session.respond(self._transaction, code, now, *headers)

    def hang_up(self, code: int, now: float) -> None:
        """End it; BYE waits for the ACK of our 200 (RFC 3261 section 15)."""
        if not self._transaction.answered:
            self.refuse(code or DEFAULT_REFUSAL, now)
        elif self._answer and not self._answer.acknowledged:
            self._session.phase = Phase.ENDING
        else:
            self._session.end(None, now, bye=True)

    def canceled(self, request: Request, now: float) -> None:
        """Take a CANCEL, or a BYE before our answer."""
        if self._transaction.answered:
            return
        causes = reasons(request.headers)
        self._session.happened(Ended(causes.get("q.850"), causes.get("sip"), canceled=True))
        self.refuse(487, now)

    def acknowledged(self, request: Request, now: float) -> bool:
        """Take an ACK; return whether it is that of our 200."""
        answer = self._answer
        if answer is None or request.headers.cseq.number != answer.number:
            return False
        if answer.acknowledged:
            return True
        answer.acknowledged = True
        if self._session.phase is Phase.ENDING:
            self._session.send_bye(now)
        elif self._late_offer:
            try:
                sdp = sdp_of(request)
            except SipError:
                sdp = ""
            self._session.remote_sdp = sdp
            self._session.happened(OfferAnswered(sdp))
        return True

    def prack(self, transaction: ServerTransaction, now: float) -> None:
        """Take a PRACK."""
        if transaction.request.body.strip():
            self._session.respond(transaction, 488, now)  # offers in PRACK are not supported
            return
        known = self._provisionals.awaits(transaction.request)
        self._session.respond(transaction, 200 if known else 481, now)
        if known:
            self._provisionals.acknowledged(now)

    @property
    def waits_for_ack(self) -> bool:
        """Whether our 200 awaits its ACK."""
        return self._answer is not None and not self._answer.acknowledged

    @property
    def offer_settled(self) -> bool:
        """Whether offer and answer have been exchanged reliably, so that an UPDATE may offer anew."""
        return self._provisionals.session_agreed

    def _prack_came(self, now: float) -> None:
        sdp, self._pending_sdp = self._pending_sdp, ""
        if sdp:
            self.answer(sdp, now)

    def _no_ack(self, now: float) -> None:
        """End a call whose 200 is not acknowledged (RFC 3261 section 13.3.1.4)."""
        self._session.happened(Ended(code=408))
        self._session.send_bye(now)
