"""The state, requests and responses of one INVITE dialog, which its parts share, and its end."""

from collections.abc import Callable
from enum import IntEnum, auto
from typing import TYPE_CHECKING

from bridge.sip.boundary import USUAL_RULES, Closed, DialogId, Happened
from bridge.sip.digest import DigestClient
from bridge.sip.events import DialogEvent, Ended
from bridge.sip.exchange import Exchange
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Request, Response, reply
from bridge.sip.reason import NORMAL_CLEARING
from bridge.sip.stack import ALLOW, ALLOW_BYE_ONLY, SUPPORTED, Stack
from bridge.sip.transaction.client import hop_request
from bridge.sip.transaction.server import ServerTransaction
from bridge.sip.transaction.timers import Timer

if TYPE_CHECKING:
    from bridge.sip.dialog import Dialog

_ESTABLISHING = ("INVITE", "UPDATE")


class Phase(IntEnum):
    """The phases of a session, in this order."""

    EARLY = auto()
    CONFIRMED = auto()
    ENDING = auto()
    """Its end has been reported or asked for, and is being signalled."""
    CLOSED = auto()


class Session:
    """What the parts of one dialog share."""

    def __init__(
        self,
        stack: Stack,
        dialog_id: DialogId,
        digest: DigestClient,
        on_closed: Callable[[DialogId], object],
    ) -> None:
        self.id = dialog_id
        self.stack = stack
        self.digest = digest
        self.phase = Phase.EARLY
        self.dialog: Dialog | None = None
        """The confirmed one; before that, of an outbound call, the one that rang last."""
        self.trunks: frozenset[str] = frozenset()
        """Names of the trunks whose addresses may send requests in it."""
        self.rules = USUAL_RULES
        self.local_sdp = ""
        """The SDP we sent last that was, or may be, agreed."""
        self.remote_sdp = ""
        self.allows: frozenset[str] = frozenset()
        """Methods that the far side takes, in lower case."""
        self.on_ending: Callable[[float], None] | None = None
        """Answers the pending transactions when the session ends."""
        self._on_closed = on_closed
        self._timers: set[Timer] = set()
        self._exchanges: list[Exchange] = []

    @property
    def asks(self) -> bool:
        """Whether a request of ours has no final response yet."""
        return any(not exchange.done for exchange in self._exchanges)

    def forget(self) -> None:
        """Free everything without a word: another user agent has the dialog."""
        self.phase = Phase.CLOSED
        self._cancel_timers()

    def happened(self, event: DialogEvent, *, failover: bool = False) -> None:
        """Report an event, unless the end has been reported or asked for."""
        if self.phase < Phase.ENDING:
            self.stack.emit(Happened(self.id, event, failover))

    def after(self, seconds: float, action: Callable[[float], None], now: float) -> Timer:
        """Call `action(now)` in some seconds, unless the session is closed by then."""

        def run(now: float) -> None:
            self._timers.discard(timer)
            action(now)

        self._timers = {other for other in self._timers if other.action is not None}
        timer = self.stack.timers.at(now + seconds, run)
        if self.phase is Phase.CLOSED:
            timer.cancel()
        else:
            self._timers.add(timer)
        return timer

    def request(self, method: str) -> Request:
        """Return a new request in the dialog."""
        assert self.dialog
        request = self.dialog.request(method)
        if method in _ESTABLISHING:
            self.put_abilities(request.headers)
        return request

    def put_abilities(self, headers: Headers) -> None:
        """Name the methods and the extensions that we take in the dialog."""
        headers.put("Allow", ALLOW_BYE_ONLY if self.rules.bye_only else ALLOW)
        if not self.rules.bye_only:
            headers.put("Supported", SUPPORTED)

    def send(
        self,
        request: Request,
        on_response: Callable[[Response, float], None],
        now: float,
        dialog: "Dialog | None" = None,
    ) -> Exchange:
        """Send a request in the dialog, or in that with another fork."""
        dialog = dialog or self.dialog
        assert dialog
        exchange = Exchange(
            self.stack, dialog.target(), self.digest, dialog.next_number, on_response
        )
        exchange.send(request, now)
        self._exchanges = [one for one in self._exchanges if not one.done]
        self._exchanges.append(exchange)
        return exchange

    def cancel(self, exchange: Exchange, now: float) -> None:
        """Cancel an INVITE of ours that has been answered provisionally; any other times out."""
        exchange.abandon(now)
        if exchange.proceeding:
            cancel = hop_request(exchange.request, "CANCEL")
            cancel.headers.put("Reason", NORMAL_CLEARING)
            self.stack.transactions.send(cancel, exchange.target, ignore, now)

    def response(
        self, request: Request, code: int, *headers: tuple[str, str], body: bytes = b""
    ) -> Response:
        """Return a response in the dialog."""
        response = reply(request, code, tag=self.id, headers=headers, body=body)
        if request.method in _ESTABLISHING and 100 < code < 300 and self.dialog:
            response.headers.put("Contact", self.dialog.contact)
            self.put_abilities(response.headers)
        return response

    def respond(
        self, transaction: ServerTransaction, code: int, now: float, *headers: tuple[str, str]
    ) -> None:
        """Send a response without a body."""
        transaction.respond(self.response(transaction.request, code, *headers), now)

    def learn(self, message: Request | Response) -> None:
        """Note the methods in the far side's Allow."""
        if "allow" in message.headers:
            self.allows = frozenset(message.headers.tokens("allow"))

    def end(self, event: Ended | None, now: float, *, bye: bool, reason: str = "") -> None:
        """Report the end, if there is an event, and with `bye` send BYE."""
        if self.phase >= Phase.ENDING:
            return
        if event is not None:
            self.happened(event)
        self.phase = Phase.ENDING
        if bye:
            self.send_bye(now, reason)
        else:
            self.close(now)

    def send_bye(self, now: float, reason: str = "") -> None:
        """Send BYE, and close when it is answered."""
        self._ending(now)
        self.phase = Phase.ENDING
        self._cancel_timers()
        request = self.request("BYE")
        request.headers.put("Reason", reason or NORMAL_CLEARING)
        self.send(request, lambda response, now: self._bye_answered(response, now, reason), now)

    def _bye_answered(self, response: Response, now: float, reason: str) -> None:
        if response.code < 200:
            return
        if response.local and self.dialog is not None and self.dialog.divert():
            self.send_bye(now, reason)
        else:
            self.close(now)

    def close(self, now: float) -> None:
        """Free everything, and report `Closed`."""
        if self.phase is not Phase.CLOSED:
            self._ending(now)
            self.phase = Phase.CLOSED
            self._cancel_timers()
            self.stack.emit(Closed(self.id))
            self._on_closed(self.id)

    def _ending(self, now: float) -> None:
        action, self.on_ending = self.on_ending, None
        if action:
            action(now)

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def ignore(_response: Response, _now: float) -> None:
    """Ignore a response."""
