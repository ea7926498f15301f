"""Tickets: short-lived, stateless credentials for one party of one call.

A ticket names its call, party and expiry and is signed with a secret that all nodes share
(HMAC-SHA256, RFC 2104). It is not encrypted.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "tk_"
MAX_LENGTH: Final = 2048
"""Characters; anything longer is rejected."""
MAX_NAME: Final = 128
_MACHINE: Final = "machine"


@dataclass(frozen=True, slots=True)
class Ticket:
    """The claims of a ticket."""

    line: str
    call_id: str
    """In its native form."""
    expires: int
    """Unix time."""
    party: str
    """`near`, `far` or `transfer`: the holder's side of the call."""
    identity: str
    """Identifies the holder within its party; may be empty."""
    name: str = ""
    """What is shown of the holder (`shown_name`)."""
    publishes: bool = True
    """Whether its holder may be heard; not signed: a ticket of ours always grants it, and the next one."""
    subscribes: bool = True
    """Whether its holder may hear."""
    machine: bool = False
    """Whether its holder is a bot."""


def shown_name(text: str) -> str:
    """Return a name as tickets hold it."""
    return "".join(one for one in text if one.isprintable())[:MAX_NAME]


def sign(ticket: Ticket, secret: bytes) -> str:
    """Encode and sign a ticket, in URL-safe characters."""
    claims = "\n".join(
        (
            str(ticket.expires),
            ticket.call_id,
            ticket.party,
            ticket.line,
            ticket.identity,
            *([ticket.name] if ticket.name or ticket.machine else []),
            *([_MACHINE] if ticket.machine else []),
        )
    ).encode()
    return f"{PREFIX}{_text(claims)}.{_text(_signature(claims, secret))}"


def read(text: str, secret: bytes) -> Ticket | None:
    """Decode a ticket; None if its signature is invalid. The expiry is not checked."""
    if not text.startswith(PREFIX) or len(text) > MAX_LENGTH or not text.isascii():
        return None
    claims, _, signature = text.removeprefix(PREFIX).partition(".")
    try:
        plain, signed = _bytes(claims), _bytes(signature)
    except binascii.Error:
        return None
    if not hmac.compare_digest(_signature(plain, secret), signed):
        return None
    expires, call_id, party, line, named = plain.decode().split("\n", 4)
    identity, _, shown = named.partition("\n")
    name, _, machine = shown.partition("\n")
    return Ticket(line, call_id, int(expires), party, identity, name, machine=machine == _MACHINE)


def _signature(claims: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"ticket of a party\n" + claims, hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
