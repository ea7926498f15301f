"""The transactions of a user agent, matched as in RFC 3261 sections 17.1.3 and 17.2.3."""

from collections.abc import Callable
from typing import TypeAlias

from bridge.sip.boundary import Counters, Target
from bridge.sip.message.message import PHRASES, Request, Response
from bridge.sip.transaction.client import ClientTransaction, TransactionTransport
from bridge.sip.transaction.server import ServerTransaction
from bridge.sip.transaction.timers import Timers

MAGIC = "z9hG4bK"
"""How the branch of a transaction begins since RFC 3261."""
MAX_TRANSACTIONS = 20_000
"""Of clients and of servers each; beyond, 503 and `Counters.overload`."""

_Key: TypeAlias = tuple[str, ...]


class Transactions:
    """All transactions under way."""

    def __init__(
        self, timers: Timers, send: Callable[[bytes, Target], None], counters: Counters
    ) -> None:
        self._timers = timers
        self._counters = counters
        self._transport = TransactionTransport(timers, send)
        self._clients: dict[_Key, ClientTransaction] = {}
        self._servers: dict[_Key, ServerTransaction] = {}
        self._requests: dict[_Key, _Key] = {}
        """Keys of server transactions by the fields that merged requests share."""

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def full(self) -> bool:
        """Whether no further call can be taken; those that are there go on."""
        return len(self._servers) >= MAX_TRANSACTIONS

    def send(
        self,
        request: Request,
        target: Target,
        on_response: Callable[[Response, float], None],
        now: float,
    ) -> ClientTransaction:
        """Send a request; `on_response` is as `ClientTransaction` says, never called before this returns."""
        key = (request.headers.top_via.branch, request.method)
        transaction = ClientTransaction(
            self._transport, request, target, on_response, lambda: self._clients.pop(key, None)
        )
        if len(self._clients) >= MAX_TRANSACTIONS:
            self._counters.overload += 1
            self._timers.at(
                now, lambda now: on_response(Response(503, PHRASES[503], local=True), now)
            )
            return transaction
        self._clients[key] = transaction
        transaction.start(now)
        return transaction

    def send_once(self, data: bytes, target: Target) -> None:
        """Send bytes without a transaction."""
        self._transport.send(data, target)

    def receive(self, response: Response, now: float) -> None:
        """Hand a response to its request; one to no request of ours is dropped."""
        headers = response.headers
        transaction = self._clients.get((headers.top_via.branch, headers.cseq.method))
        if transaction is not None:
            transaction.receive(response, now)

    def find(self, request: Request, method: str = "") -> ServerTransaction | None:
        """Return the transaction a request belongs to, as `method` if that is another (ACK, CANCEL)."""
        return self._servers.get(_server_key(request, method or request.method))

    def merged(self, request: Request) -> bool:
        """Return whether the same request has come by another path (RFC 3261 section 8.2.2.2)."""
        return _request_key(request) in self._requests

    def accept(self, request: Request, source: Target, now: float) -> ServerTransaction:
        """Begin the transaction of a new request."""
        key, same = _server_key(request, request.method), _request_key(request)

        def end() -> None:
            self._servers.pop(key, None)
            if self._requests.get(same) == key:
                del self._requests[same]

        transaction = ServerTransaction(self._transport, request, source, end)
        self._servers[key] = transaction
        self._requests.setdefault(same, key)
        transaction.start(now)
        return transaction

    def transport_failed(self, target: Target, now: float) -> None:
        """Fail what was sent to a target, or over its connection."""
        for client in [*self._clients.values()]:
            if _same_path(client.target, target):
                client.fail(now)
        for server in [*self._servers.values()]:
            if target.connection and _same_path(server.source, target):
                server.fail(now)


def _same_path(one: Target, other: Target) -> bool:
    if one.transport != "udp" and one.connection and other.connection:
        return one.connection == other.connection
    return (one.transport, one.host, one.port) == (other.transport, other.host, other.port)


def _server_key(request: Request, method: str) -> _Key:
    method = "INVITE" if method == "ACK" else method
    via = request.headers.top_via
    if via.branch.startswith(MAGIC) and len(via.branch) > len(MAGIC):
        return (via.branch, via.host.lower(), str(via.port), method)
    # RFC 2543: the request is the same if these are.
    headers = request.headers
    number = str(headers.cseq.number)
    return (headers.call_id, headers.from_.tag, number, headers.split("via")[0], method)


def _request_key(request: Request) -> _Key:
    headers = request.headers
    return (headers.call_id, headers.from_.tag, str(headers.cseq.number), request.method)
