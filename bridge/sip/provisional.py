"""Provisional responses of ours, reliable where the caller supports 100rel (RFC 3262 section 3)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.sip.message.body import put_sdp
from bridge.sip.message.message import Request
from bridge.sip.session import Session
from bridge.sip.transaction.client import T1, TIMEOUT
from bridge.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from bridge.sip.message.message import Response

REPEAT = 60.0
"""Seconds between provisional responses, so that no proxy times out (RFC 3261 section 13.3.1.1)."""


class Provisionals:
    """The 180 and 183 of an inbound INVITE. At most one awaits its PRACK, and one is queued behind it."""

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
        self._waiting: Response | None = None
        self._interval = T1
        self._waited = 0.0
        self._next: tuple[int, str] | None = None
        self._last = 0, ""
        self._stopped = False
        self.session_agreed = False
        """Whether an answer has been sent reliably."""

    @property
    def unacknowledged_answer(self) -> bool:
        """Whether a response with SDP awaits its PRACK, before which no 2xx may be sent."""
        return self._waiting is not None and bool(self._waiting.body)

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
            self._waiting, self._interval, self._waited = response, T1, 0.0
            number = self._number
            self._session.after(T1, lambda now: self._again(number, now), now)
        self._transaction.respond(response, now)

    def stop(self) -> None:
        """Stop: a final response is sent."""
        self._stopped = True
        self._waiting = self._next = None

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
        self._waiting = None
        self._number += 1
        if self._next is not None:
            code, sdp = self._next
            self._next = None
            self.send(code, sdp, now)
        self._on_acknowledged(now)

    def _again(self, number: int, now: float) -> None:
        if self._waiting is None or number != self._number:
            return
        self._waited += self._interval
        if self._waited >= TIMEOUT:
            self._waiting = None
            self._on_timeout(now)
            return
        self._transaction.respond(self._waiting, now)
        self._interval = min(2 * self._interval, max(TIMEOUT - self._waited, T1))
        self._session.after(self._interval, lambda now: self._again(number, now), now)

    def _repeat(self, now: float) -> None:
        if not self._stopped:
            self._session.after(REPEAT, self._repeat, now)
            if self._waiting is None:
                self.send(*self._last, now)
