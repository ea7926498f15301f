"""Tickets: credentials good for one party of one call and for a short time, which need not be stored.

A ticket says which call it opens, for whom and until when, and is signed with a secret that all nodes share
(HMAC-SHA256, RFC 2104). Who has no secret can read a ticket but neither make nor change one.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "tk_"
MAX_LENGTH: Final = 2048
"""Characters; what is longer is no ticket of ours."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says."""

    line: str
    call_id: str
    """In its native form."""
    expires: int
    """Seconds since 1970."""
    party: str
    """`near`, `far` or `transfer`: which side of the call its holder is."""
    identity: str
    """Who the holder is among those of its party; may be empty."""


def sign(ticket: Ticket, secret: bytes) -> str:
    """Write a ticket down, in characters that URLs and headers may hold."""
    said = "\n".join(
        (str(ticket.expires), ticket.call_id, ticket.party, ticket.line, ticket.identity)
    ).encode()
    return f"{PREFIX}{_text(said)}.{_text(_signature(said, secret))}"


def read(text: str, secret: bytes) -> Ticket | None:
    """Read a ticket; None for what was not signed with this secret. Its time is not looked at."""
    if not text.startswith(PREFIX) or len(text) > MAX_LENGTH or not text.isascii():
        return None
    said, _, signature = text.removeprefix(PREFIX).partition(".")
    try:
        plain, signed = _bytes(said), _bytes(signature)
    except binascii.Error:
        return None
    if not hmac.compare_digest(_signature(plain, secret), signed):
        return None
    expires, call_id, party, line, identity = plain.decode().split("\n", 4)
    return Ticket(line, call_id, int(expires), party, identity)


def _signature(said: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"ticket of a party\n" + said, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
