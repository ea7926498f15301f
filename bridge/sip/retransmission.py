"""Responses to an INVITE that are retransmitted until they are acknowledged, by ACK or PRACK."""

import math
from collections.abc import Callable

from bridge.sip.message.message import Response
from bridge.sip.session import Session
from bridge.sip.transaction.client import T1, T2, TIMEOUT
from bridge.sip.transaction.server import ServerTransaction


class Retransmission:
    """A 2xx (RFC 3261 section 13.3.1.4) or a reliable provisional response (RFC 3262 section 3).

    The dialog retransmits it and not the transaction, because its acknowledgement is end to end.
    `on_timeout` is called after 32 s without one.
    """

    def __init__(
        self,
        session: Session,
        transaction: ServerTransaction,
        response: Response,
        on_timeout: Callable[[float], None],
    ) -> None:
        self.number = transaction.request.headers.cseq.number
        self.response = response
        self.acknowledged = False
        self._session = session
        self._transaction = transaction
        self._on_timeout = on_timeout
        self._longest = T2 if response.code >= 200 else math.inf
        self._interval = T1
        self._waited = 0.0

    def send(self, now: float) -> None:
        """Send the response, and start to retransmit it."""
        self._transaction.respond(self.response, now)
        self._session.after(T1, self._again, now)

    def _again(self, now: float) -> None:
        if self.acknowledged:
            return
        self._waited += self._interval
        if self._waited >= TIMEOUT:
            self._on_timeout(now)
            return
        self._transaction.respond(self.response, now)
        self._interval = min(2 * self._interval, self._longest, max(TIMEOUT - self._waited, T1))
        self._session.after(self._interval, self._again, now)
