"""Signed links: paths that can be fetched without a key until they expire.

The query has the expiry and an HMAC-SHA256 (RFC 2104) of both, by the secret all nodes share.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

_EXPIRES: Final = re.compile(r"[0-9]{1,12}")


def sign(path: str, expires: int, secret: bytes) -> str:
    """Return the path with its query; `expires` is Unix time."""
    return f"{path}?expires={expires}&signature={_signature(path, expires, secret)}"


def verify(path: str, query: Mapping[str, str], secret: bytes, *, now: float) -> bool:
    """Return whether the query is a valid, unexpired signature of the path."""
    text, signature = query.get("expires", ""), query.get("signature", "")
    if not _EXPIRES.fullmatch(text) or not signature.isascii():
        return False
    expires = int(text)
    return hmac.compare_digest(_signature(path, expires, secret), signature) and now < expires


def _signature(path: str, expires: int, secret: bytes) -> str:
    return hmac.new(secret, f"link\n{expires}\n{path}".encode(), hashlib.sha256).hexdigest()
