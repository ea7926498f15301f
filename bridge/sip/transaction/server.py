"""Server transactions (RFC 3261 section 17.2, RFC 6026): a request to us, until its response is delivered."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bridge.sip.boundary import Target, is_as_strong
from bridge.sip.message.message import Request, Response
from bridge.sip.transaction.client import T1, T2, T4, TIMEOUT, State, TransactionTransport

if TYPE_CHECKING:
    from bridge.sip.transaction.timers import Timer


class ServerTransaction:
    """A request to us; absorbs its retransmissions."""

    def __init__(
        self,
        transport: TransactionTransport,
        request: Request,
        source: Target,
        on_end: Callable[[], None],
    ) -> None:
        self.request = request
        self.source = source
        """Where it came from."""
        self.state = State.TRYING
        self.owner = ""
        """The id of the dialog it belongs to; empty for none."""
        self.on_done: Callable[[float], None] | None = None
        """Called once when a final error to an INVITE has been acknowledged, or after timer H."""
        self._transport = transport
        self._on_end = on_end
        self._to = response_target(request, source)
        self._last = b""
        self._invite = request.method == "INVITE"
        self._unreliable = source.transport == "udp"
        self._interval = T1
        self._resend: Timer | None = None
        self._deadline: Timer | None = None

    @property
    def answered(self) -> bool:
        """Whether the final response has been sent."""
        return self.state not in (State.TRYING, State.PROCEEDING)

    def takes(self, request: Request, source: Target) -> bool:
        """Return whether an ACK or CANCEL of this transaction names its dialog, by a transport as good as its own."""
        ours, theirs = self.request.headers, request.headers
        same = (ours.call_id, ours.from_.tag, ours.cseq.number) == (
            theirs.call_id,
            theirs.from_.tag,
            theirs.cseq.number,
        )
        known_tags = (ours.to.tag, self.owner)
        return (
            same
            and theirs.to.tag in known_tags
            and is_as_strong(source.transport, self.source.transport)
        )

    def start(self, now: float) -> None:
        """Limit the time of a request other than INVITE that is never answered; an INVITE's is its dialog's."""
        if not self._invite:
            self._deadline = self._transport.timers.at(now + TIMEOUT, self._end)

    def respond(self, response: Response, now: float) -> None:
        """Send a response; after the final one only retransmissions of a 2xx."""
        if self.answered and not (self.state is State.ACCEPTED and response.code // 100 == 2):
            return
        self._last = bytes(response)
        self._transport.send(self._last, self._to)
        if response.code < 200:
            self.state = State.PROCEEDING
        elif self.state is not State.ACCEPTED:
            self._final(response.code, now)

    def repeated(self, _now: float) -> None:
        """Answer a retransmission of the request; its dialog retransmits a 2xx to an INVITE."""
        if self._last and self.state not in (State.ACCEPTED, State.CONFIRMED, State.TERMINATED):
            self._transport.send(self._last, self._to)

    def acknowledged(self, now: float) -> None:
        """Take the ACK of a final error."""
        if self.state is State.COMPLETED and self._invite:
            self._cancel()
            self.state = State.CONFIRMED
            self._keep(now, T4)  # I
            self._done(now)

    def fail(self, now: float) -> None:
        """Stop: nothing more can be sent there."""
        if self.answered:
            self._end(now)

    def _final(self, code: int, now: float) -> None:
        self._cancel()
        if self._invite and code < 300:
            self.state = State.ACCEPTED
            self._deadline = self._transport.timers.at(now + TIMEOUT, self._end)  # L
        elif self._invite:
            self.state = State.COMPLETED
            self._deadline = self._transport.timers.at(now + TIMEOUT, self._end)  # H
            if self._unreliable:
                self._resend = self._transport.timers.at(now + T1, self._retransmit)  # G
        else:
            self.state = State.COMPLETED
            self._keep(now, TIMEOUT)  # J

    def _keep(self, now: float, seconds: float) -> None:
        if self._unreliable:
            self._deadline = self._transport.timers.at(now + seconds, self._end)
        else:
            self._end(now)

    def _retransmit(self, now: float) -> None:
        self._transport.send(self._last, self._to)
        self._interval = min(2 * self._interval, T2)
        self._resend = self._transport.timers.at(now + self._interval, self._retransmit)

    def _end(self, now: float) -> None:
        self._cancel()
        self.state = State.TERMINATED
        self._on_end()
        self._done(now)

    def _done(self, now: float) -> None:
        done, self.on_done = self.on_done, None
        if done:
            done(now)

    def _cancel(self) -> None:
        for timer in (self._resend, self._deadline):
            if timer:
                timer.cancel()


def response_target(request: Request, source: Target) -> Target:
    """Return where a response goes (RFC 3261 section 18.2.2, RFC 3581).

    Always the source address: Via and maddr cannot be used to reflect traffic to others.
    """
    via = request.headers.top_via
    if source.transport == "udp" and "rport" in via.parameters:
        return source
    default = 5061 if source.transport == "tls" else 5060
    return Target(source.transport, source.host, via.port or default, source.connection)
