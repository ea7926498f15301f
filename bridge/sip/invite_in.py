"""An INVITE to us (RFC 3261 section 13.3), from its arrival to the ACK of our final response."""

from collections.abc import Callable

from bridge.sip.events import Ended, OfferAnswered
from bridge.sip.message.body import put_sdp, readable_sdp
from bridge.sip.message.message import Request
from bridge.sip.reason import reasons
from bridge.sip.retransmission import Retransmission
from bridge.sip.session import Phase, Session
from bridge.sip.session_timer import SessionTimer
from bridge.sip.transaction.server import ServerTransaction

RETRY_AFTER = ("Retry-After", "10")
"""Of a 503: for us there is no room now, or we drain."""
DEFAULT_REFUSAL = 480
REPEAT = 60.0
"""Seconds between provisional responses, so that no proxy times out (RFC 3261 section 13.3.1.1)."""


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
        self._answer: Retransmission | None = None
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
        self._answer = Retransmission(self._session, self._transaction, response, self._no_ack)
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
            self._session.remote_sdp = sdp = readable_sdp(request)
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
    def offer_completed(self) -> bool:
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


class Provisionals:
    """The 180 and 183 of an inbound INVITE, reliable where the caller supports 100rel (RFC 3262 section 3).

    At most one awaits its PRACK, and one is queued behind it.
    """

    def __init__(
        self,
        session: Session,
        transaction: ServerTransaction,
        on_timeout: Callable[[float], None],
        on_acknowledged: Callable[[float], None],
    ) -> None:
        request = transaction.request
        self._session = session
        self._transaction = transaction
        self._on_timeout = on_timeout
        self._on_acknowledged = on_acknowledged
        self._required = "100rel" in request.headers.tokens("require")
        self._able = self._required or "100rel" in request.headers.tokens("supported")
        self._number = int.from_bytes(session.stack.random(2), "big") + 1
        self._waiting: Retransmission | None = None
        self._next: tuple[int, str] | None = None
        self._last = 0, ""
        self._stopped = False
        self.session_agreed = False
        """Whether an answer has been sent reliably."""

    @property
    def unacknowledged_answer(self) -> bool:
        """Whether a response with SDP awaits its PRACK, before which no 2xx may be sent."""
        return self._waiting is not None and bool(self._waiting.response.body)

    def send(self, code: int, sdp: str, now: float) -> None:
        """Send a provisional response, now or after the PRACK of the one before."""
        if self._waiting is not None:
            self._next = code, sdp
            return
        if not self._last[0]:
            self._session.after(REPEAT, self._repeat, now)
        self._last = code, sdp
        response = self._session.response(self._transaction.request, code)
        put_sdp(response, sdp)
        if self._required or (self._able and sdp):
            response.headers.put("Require", "100rel")
            response.headers.put("RSeq", str(self._number))
            self._waiting = Retransmission(
                self._session, self._transaction, response, self._timed_out
            )
            self._waiting.send(now)
        else:
            self._transaction.respond(response, now)

    def stop(self) -> None:
        """Stop: a final response is sent."""
        self._stopped = True
        self._next = None
        self._stop_waiting()

    def awaits(self, prack: Request) -> bool:
        """Return whether a PRACK acknowledges the pending response."""
        cseq = self._transaction.request.headers.cseq
        words = prack.headers.first("rack").split()
        return self._waiting is not None and words == [
            str(self._number),
            str(cseq.number),
            cseq.method,
        ]

    def acknowledged(self, now: float) -> None:
        """Handle the PRACK of the pending response."""
        self.session_agreed = self.session_agreed or self.unacknowledged_answer
        self._stop_waiting()
        self._number += 1
        if self._next is not None:
            code, sdp = self._next
            self._next = None
            self.send(code, sdp, now)
        self._on_acknowledged(now)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.acknowledged = True
            self._waiting = None

    def _timed_out(self, now: float) -> None:
        self._waiting = None
        self._on_timeout(now)

    def _repeat(self, now: float) -> None:
        if not self._stopped:
            self._session.after(REPEAT, self._repeat, now)
            if self._waiting is None:
                self.send(*self._last, now)
