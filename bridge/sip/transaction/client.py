"""Client transactions (RFC 3261 section 17.1, RFC 6026): a request of ours, until its final response."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from bridge.sip.boundary import Target
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import PHRASES, Request, Response
from bridge.sip.transaction.timers import Timer, Timers

T1 = 0.5
"""Estimate of the round trip (RFC 3261 section 17.1.1.1)."""
T2 = 4.0
"""Longest pause between retransmissions, except of an INVITE."""
T4 = 5.0
"""Longest lifetime of a message in the network."""
TIMEOUT = 64 * T1
"""Timers B, D, F, H, J, L and M."""
MAX_PROCEEDING = 600.0
"""Seconds since the last provisional response to an INVITE; above any proxy's timer C (3 minutes or more)."""


@dataclass(slots=True, frozen=True)
class TransactionTransport:
    """What transactions share."""

    timers: Timers
    send: Callable[[bytes, Target], None]


class State(Enum):
    """The state of a transaction; a client INVITE is `TRYING` while the RFC says Calling."""

    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class ClientTransaction:
    """A request of ours.

    `on_response` gets every provisional and the final response, all 2xx to an INVITE (retransmitted, or
    of other forks), and a `local` one for a timeout or a transport error.
    """

    def __init__(
        self,
        transport: TransactionTransport,
        request: Request,
        target: Target,
        on_response: Callable[[Response, float], None],
        on_end: Callable[[], object],
    ) -> None:
        self.request = request
        self.target = target
        self.state = State.TRYING
        self._transport = transport
        self._on_response = on_response
        self._on_end = on_end
        self._data = bytes(request)
        self._ack = b""
        self._invite = request.method == "INVITE"
        self._unreliable = target.transport == "udp"
        self._abandoned = False
        self._interval = T1
        self._resend: Timer | None = None
        self._deadline: Timer | None = None

    def start(self, now: float) -> None:
        """Send the request."""
        self._transport.send(self._data, self.target)
        self._deadline = self._transport.timers.at(now + TIMEOUT, self._time_out)  # B or F
        if self._unreliable:
            self._resend = self._transport.timers.at(now + T1, self._retransmit)  # A or E

    def receive(self, response: Response, now: float) -> None:
        """Take a response to it."""
        if self.state in (State.TRYING, State.PROCEEDING):
            if response.code < 200:
                self._provisional(now)
            elif not self._invite:
                self._stop(State.COMPLETED, now, T4)  # K
            elif response.code < 300:
                self._stop(State.ACCEPTED, now, TIMEOUT, reliable=True)  # M
            else:
                self._ack = bytes(_ack(self.request, response))
                self._transport.send(self._ack, self.target)
                self._stop(State.COMPLETED, now, TIMEOUT)  # D
            self._on_response(response, now)
        elif self.state is State.ACCEPTED and 200 <= response.code < 300:
            self._on_response(response, now)
        elif self.state is State.COMPLETED and self._ack and response.code >= 300:
            self._transport.send(self._ack, self.target)

    def abandon(self, now: float) -> None:
        """Wait for the final response 32 s longer: the request has been cancelled."""
        if self.state in (State.TRYING, State.PROCEEDING):
            self._abandoned = True
            self._wait(now, TIMEOUT)

    def fail(self, now: float) -> None:
        """Give up: its transport has failed."""
        if self.state in (State.TRYING, State.PROCEEDING):
            self._give_up(503, now)

    def _provisional(self, now: float) -> None:
        self.state = State.PROCEEDING
        if self._invite and self._resend:
            self._resend.cancel()
        if self._invite and not self._abandoned:
            self._wait(now, MAX_PROCEEDING)

    def _wait(self, now: float, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self._transport.timers.at(now + seconds, self._time_out)

    def _retransmit(self, now: float) -> None:
        self._transport.send(self._data, self.target)
        self._interval *= 2
        if not self._invite:
            self._interval = T2 if self.state is State.PROCEEDING else min(self._interval, T2)
        self._resend = self._transport.timers.at(now + self._interval, self._retransmit)

    def _time_out(self, now: float) -> None:
        self._give_up(408, now)

    def _give_up(self, code: int, now: float) -> None:
        self._end(now)
        self._on_response(Response(code, PHRASES[code], Headers(), local=True), now)

    def _stop(self, state: State, now: float, seconds: float, *, reliable: bool = False) -> None:
        """Stop retransmitting; absorb retransmitted responses, on reliable transports those of 2xx only."""
        self._cancel()
        self.state = state
        if self._unreliable or reliable:
            self._deadline = self._transport.timers.at(now + seconds, self._end)
        else:
            self._end(now)

    def _end(self, _now: float) -> None:
        self._cancel()
        self.state = State.TERMINATED
        self._on_end()

    def _cancel(self) -> None:
        for timer in (self._resend, self._deadline):
            if timer:
                timer.cancel()


def _ack(request: Request, response: Response) -> Request:
    """Return the ACK of a final response that is no 2xx (RFC 3261 section 17.1.1.3)."""
    ack = hop_request(request, "ACK")
    ack.headers.put("To", response.headers.first("to"))
    return ack


def hop_request(request: Request, method: str) -> Request:
    """Return the ACK or CANCEL that belongs to the transaction of a request."""
    given = request.headers
    made = Request(method, request.uri)
    made.headers.put("Via", given.all("via")[0])
    for name in ("route", "from", "to", "call-id", "max-forwards"):
        made.headers.put(name, *given.all(name))
    made.headers.put("CSeq", f"{given.cseq.number} {method}")
    return made
