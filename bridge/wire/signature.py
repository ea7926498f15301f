"""Signatures of webhooks and of streams' handshakes: `t=…,v1=…` (WADial's guide), Standard Webhooks, Twilio's.

https://www.standardwebhooks.com. The first two contain the time, so that receivers can reject replays.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"


def timestamped(secret: str, body: bytes, *, now: float) -> str:
    """Sign `<t>.<body>` with HMAC-SHA256 under the secret's text: `t=<seconds>,v1=<hexadecimal>`."""
    at = str(int(now))
    return f"t={at},v1={_mac(secret.encode(), at.encode() + b'.' + body).hex()}"


def standard(
    secret: str, identity: str, body: bytes, *, now: float, former: Iterable[str] = ()
) -> dict[str, str]:
    """Return the headers of Standard Webhooks for one delivery, signed by each secret.

    The delivery has the same `identity` at each attempt; `now` is Unix time. The handshake of a stream has the
    URL as its `body`.
    """
    at = str(int(now))
    signed = f"{identity}.{at}.".encode() + body
    values = (base64.b64encode(_mac(_key(each), signed)).decode() for each in (secret, *former))
    signatures = " ".join(f"v1,{value}" for value in values)
    return {"webhook-id": identity, "webhook-timestamp": at, "webhook-signature": signatures}


def twilio(secret: str, url: str) -> str:
    """Return the `X-Twilio-Signature` of a request without a body: HMAC-SHA1 of its URL, in base64.

    Source: Twilio, "Security - Validating signatures from Twilio"; the secret stands for the auth token.
    """
    return base64.b64encode(hmac.new(secret.encode(), url.encode(), hashlib.sha1).digest()).decode()


def _key(secret: str) -> bytes:
    """Return the key of a secret: base64 after the prefix, else the text itself."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
