"""Bindings at registrars (RFC 3261 section 10): created, refreshed before they expire, and removed."""

from itertools import count
from typing import TYPE_CHECKING

from bridge.backoff import Backoff
from bridge.sip.boundary import Registration, RegistrationChanged
from bridge.sip.digest import DigestClient
from bridge.sip.exchange import Exchange
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Request, Response
from bridge.sip.message.values import ValueSyntaxError
from bridge.sip.stack import Stack

if TYPE_CHECKING:
    from bridge.sip.transaction.timers import Timer

BACKOFF = Backoff(5.0, 900.0)
MIN_EXPIRES = 30.0
"""Seconds; the shortest interval between refreshes, even where a registrar grants less."""
MAX_EXPIRES = 86_400


class Registrar:
    """One binding; failures are retried with growing pauses, 5 s to 15 min."""

    def __init__(self, stack: Stack, registration: Registration) -> None:
        self._stack = stack
        self._registration = registration
        self._digest = DigestClient(registration.credentials, stack.random)
        self._call_id = stack.token(12)
        self._tag = stack.token()
        self._next_number = count(1).__next__
        self._expires = registration.expires
        self._failures = 0
        self._too_brief = 0
        self._timer: Timer | None = None
        self._exchange: Exchange | None = None
        self._stopped = False

    def start(self, now: float) -> None:
        """Register."""
        self._send(self._expires, now)

    def stop(self, now: float) -> None:
        """Remove the binding; what the registrar answers is reported as not registered."""
        self.forget()
        self._stopped = True
        self._send(0, now)

    def forget(self) -> None:
        """Stop refreshing, and let the binding expire."""
        self._exchange = None
        if self._timer:
            self._timer.cancel()

    def _send(self, expires: int, now: float) -> None:
        registration, stack = self._registration, self._stack
        exchange: Exchange

        def received(response: Response, now: float) -> None:
            if exchange is self._exchange and response.code >= 200:
                self._exchange = None
                self._received(response, now)

        exchange = Exchange(stack, registration.target, self._digest, self._next_number, received)
        self._exchange = exchange
        exchange.send(self._request(expires), now)

    def _request(self, expires: int) -> Request:
        registration, stack = self._registration, self._stack
        fields = Headers()
        fields.put("From", f"<{registration.address_of_record}>;tag={self._tag}")
        fields.put("To", f"<{registration.address_of_record}>")
        fields.put("Call-ID", self._call_id)
        fields.put("CSeq", f"{self._next_number()} REGISTER")
        contact = stack.contact(registration.target, registration.contact_user)
        fields.put("Contact", f"{contact};expires={expires}")
        fields.put("Expires", str(expires))
        return stack.request("REGISTER", registration.registrar, registration.target, fields)

    def _received(self, response: Response, now: float) -> None:
        name = self._registration.name
        if self._stopped:
            self._stack.emit(RegistrationChanged(name, registered=False, code=response.code))
        elif response.code < 300:
            self._granted(response, now)
        elif response.code == 423 and self._asked_for_more(response):
            self._send(self._expires, now)
        else:
            self._failures += 1
            self._timer = self._stack.timers.at(now + self._pause(response), self.start)
            self._stack.emit(RegistrationChanged(name, registered=False, code=response.code))

    def _granted(self, response: Response, now: float) -> None:
        self._failures = self._too_brief = 0
        granted = max(float(min(self._expiry(response), MAX_EXPIRES)), MIN_EXPIRES)
        due = granted * (0.5 + 0.4 * self._stack.fraction())
        self._timer = self._stack.timers.at(now + due, self.start)
        self._stack.emit(
            RegistrationChanged(
                self._registration.name, registered=True, code=response.code, expires=granted
            )
        )

    def _expiry(self, response: Response) -> int:
        """Return the seconds granted: of our Contact, else of Expires, else what we asked for."""
        ours = self._stack.contact(self._registration.target, self._registration.contact_user)
        try:
            contacts = response.headers.addresses("contact")
        except ValueSyntaxError:
            contacts = []
        for contact in contacts:
            expires = contact.parameters.get("expires", "")
            same = contact.uri.text.lower() == ours.strip("<>").lower() or len(contacts) == 1
            if same and expires.isascii() and expires.isdigit() and len(expires) < 10:
                return int(expires)
        number = response.headers.number("expires")
        return self._expires if number is None else number

    def _asked_for_more(self, response: Response) -> bool:
        least = response.headers.number("min-expires") or 0
        self._too_brief += 1
        if self._too_brief > 2 or not self._expires < least <= MAX_EXPIRES:
            return False
        self._expires = least
        return True

    def _pause(self, response: Response) -> float:
        """Return the seconds to the next attempt: exponential back-off with jitter, at least Retry-After."""
        longest = BACKOFF.after(self._failures)
        asked = float(min(response.headers.number("retry-after") or 0, 3600))
        return max(longest * (0.5 + 0.5 * self._stack.fraction()), asked)
