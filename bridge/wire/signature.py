"""Signatures of webhooks: `t=…,v1=…` over time and body, and those of Standard Webhooks.

https://www.standardwebhooks.com, and WADial's guide to webhooks for the first form. Both carry the
second at which they were made, so that a receiver can refuse what is old.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
"""How old receivers are advised to let a signature be."""


def timestamped(secret: str, body: bytes, *, now: float) -> str:
    """Sign `<t>.<body>` with HMAC-SHA256 under the secret's text: `t=<seconds>,v1=<hexadecimal>`."""
    at = str(int(now))
    return f"t={at},v1={_mac(secret.encode(), at.encode() + b'.' + body).hex()}"


def standard(
    secret: str, identity: str, body: bytes, *, now: float, former: Iterable[str] = ()
) -> Mapping[str, str]:
    """Return the headers of Standard Webhooks for one delivery.

    Args:
        secret: signs it.
        identity: of the delivery, the same at each attempt.
        body: what is signed.
        now: in seconds of wall time.
        former: secrets that receivers may still have; the header holds a signature with each behind the
            first, divided by spaces.
    """
    at = str(int(now))
    signed = f"{identity}.{at}.".encode() + body
    values = (base64.b64encode(_mac(_key(each), signed)).decode() for each in (secret, *former))
    signatures = " ".join(f"v1,{value}" for value in values)
    return {"webhook-id": identity, "webhook-timestamp": at, "webhook-signature": signatures}


def verify(secret: str, header: str, body: bytes, *, now: float) -> bool:
    """Whether a `t=…,v1=…` header is ours and not older, or newer, than it may be."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    if not parts.get("t", "").isdecimal() or abs(now - int(parts["t"])) > TOLERANCE_SECONDS:
        return False
    return hmac.compare_digest(header, timestamped(secret, body, now=int(parts["t"])))


def _key(secret: str) -> bytes:
    """The key of a secret: what is encoded behind the prefix, else the text itself."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
