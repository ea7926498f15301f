"""A 2xx to an INVITE, retransmitted until its ACK (RFC 3261 section 13.3.1.4)."""

from collections.abc import Callable

from bridge.sip.message.message import Response
from bridge.sip.session import Session
from bridge.sip.transaction.client import T1, T2, TIMEOUT
from bridge.sip.transaction.server import ServerTransaction


class Answer:
    """A 2xx; retransmitted by the dialog and not the transaction, because its ACK is end to end.

    `on_timeout` is called after 32 s without an ACK.
    """

    def __init__(
        self,
        session: Session,
        transaction: ServerTransaction,
        response: Response,
        on_timeout: Callable[[float], None],
    ) -> None:
        self.number = transaction.request.headers.cseq.number
        self._session = session
        self._transaction = transaction
        self._response = response
        self._on_timeout = on_timeout
        self._interval = T1
        self._waited = 0.0
        self.acknowledged = False

    def send(self, now: float) -> None:
        """Send the response, and start to retransmit it."""
        self._transaction.respond(self._response, now)
        self._session.after(T1, self._again, now)

    def _again(self, now: float) -> None:
        if self.acknowledged:
            return
        self._waited += self._interval
        if self._waited >= TIMEOUT:
            self._on_timeout(now)
            return
        self._transaction.respond(self._response, now)
        self._interval = min(2 * self._interval, T2, max(TIMEOUT - self._waited, T1))
        self._session.after(self._interval, self._again, now)
