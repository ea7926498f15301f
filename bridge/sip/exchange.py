"""A request of ours, sent again with credentials when it is challenged."""

from collections.abc import Callable

from bridge.sip.boundary import Target
from bridge.sip.digest import DigestClient
from bridge.sip.message.message import Request, Response
from bridge.sip.stack import Stack
from bridge.sip.transaction.client import ClientTransaction


class Exchange:
    """One request with its digest challenges.

    `on_response` gets the responses as from `ClientTransaction`, without the challenges that are answered.
    `next_number` returns the CSeq of the next attempt.
    """

    def __init__(
        self,
        stack: Stack,
        target: Target,
        digest: DigestClient,
        next_number: Callable[[], int],
        on_response: Callable[[Response, float], None],
    ) -> None:
        self._stack = stack
        self.target = target
        """Where it is sent."""
        self._digest = digest
        self._next_number = next_number
        self._on_response = on_response
        self._attempts: dict[str, int] = {}
        self._transaction: ClientTransaction | None = None
        self._abandoned = False
        self.done = False
        """Whether the final response has come."""
        self.proceeding = False
        """Whether a provisional response has come."""

    @property
    def request(self) -> Request:
        """The request as it was sent last."""
        assert self._transaction
        return self._transaction.request

    def send(self, request: Request, now: float) -> None:
        """Send the request."""
        self._digest.authorize(request)
        self.proceeding = self.done = False

        def received(response: Response, now: float) -> None:
            self._receive(transaction, response, now)

        transaction = self._stack.transactions.send(request, self.target, received, now)
        self._transaction = transaction

    def abandon(self, now: float) -> None:
        """Wait no longer than 32 s, and answer no challenge."""
        self._abandoned = True
        if self._transaction:
            self._transaction.abandon(now)

    def _receive(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if transaction is not self._transaction:
            return
        if response.code in (401, 407) and not self._abandoned and not self.done:
            again = self._digest.challenged(response, self._attempts)
            if again:
                self.send(self.again(), now)
                return
        self.proceeding = True
        self.done = self.done or response.code >= 200
        self._on_response(response, now)

    def again(self) -> Request:
        """Return the request as it was, in a new transaction."""
        request = self.request
        again = Request(request.method, request.uri, body=request.body)
        for name, value in request.headers:
            again.headers.add(name, value)
        again.headers.put("Via", self._stack.via(self.target))
        again.headers.put("CSeq", f"{self._next_number()} {request.method}")
        return again
