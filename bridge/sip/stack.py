"""The state that all parts of a user agent share: transactions, timers, random numbers, outputs."""

from collections.abc import Callable

from bridge.sip.boundary import Counters, Local, Output, Send, Target
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Request
from bridge.sip.message.values import escape, host_text
from bridge.sip.transaction.timers import Timers
from bridge.sip.transaction.transactions import MAGIC, Transactions

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY"
SUPPORTED = "timer, 100rel, replaces, norefersub"
ALLOW_BYE_ONLY = "INVITE, ACK, CANCEL, BYE, OPTIONS"
EXTENSIONS = frozenset(SUPPORTED.split(", "))
MAX_FORWARDS = "70"


class Stack:
    """Shared by all calls and registrations of one user agent."""

    def __init__(
        self, random: Callable[[int], bytes], user_agent: str, local: Callable[[Target], Local]
    ) -> None:
        self.random = random
        self.user_agent = user_agent
        self.local = local
        self.counters = Counters()
        self.timers = Timers()
        self.transactions = Transactions(self.timers, self._send, self.counters)
        self._outputs: list[Output] = []

    def emit(self, output: Output) -> None:
        """Add an output."""
        self._outputs.append(output)

    def take(self) -> list[Output]:
        """Return and clear the outputs."""
        taken, self._outputs = self._outputs, []
        return taken

    def _send(self, data: bytes, target: Target) -> None:
        self.emit(Send(data, target))

    def token(self, octets: int = 8) -> str:
        """Return a random token of twice as many hex digits."""
        return self.random(octets).hex()

    def fraction(self) -> float:
        """Return a random number from 0 up to 1."""
        return int.from_bytes(self.random(4), "big") / 2**32

    def via(self, target: Target) -> str:
        """Return the Via of a new transaction, with rport (RFC 3581)."""
        local = self.local(target)
        place = f"{host_text(local.host)}:{local.port}"
        return f"SIP/2.0/{target.transport.upper()} {place};branch={MAGIC}{self.token(12)};rport"

    def contact(self, target: Target, user: str = "", host: str = "") -> str:
        """Return our Contact as a target can reach it, at `host` if that is not empty."""
        local = self.local(target)
        name = f"{escape(user)}@" if user else ""
        transport = "" if target.transport == "udp" else f";transport={target.transport}"
        return f"<sip:{name}{host_text(host or local.host)}:{local.port}{transport}>"

    def request(self, method: str, uri: str, target: Target, fields: Headers) -> Request:
        """Return a request that begins a transaction, with fields that follow Via and Max-Forwards."""
        request = Request(method, uri)
        request.headers.put("Via", self.via(target))
        request.headers.put("Max-Forwards", MAX_FORWARDS)
        for name, value in fields:
            request.headers.add(name, value)
        if self.user_agent:
            request.headers.put("User-Agent", self.user_agent)
        return request
