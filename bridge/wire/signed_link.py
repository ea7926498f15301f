"""Signed links: paths that anybody may fetch for a while, without a key.

The query says until when and holds a signature (HMAC-SHA256, RFC 2104) of the path and of that
moment, with the secret that all nodes share; nothing of a link need be stored.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

_EXPIRES: Final = re.compile(r"[0-9]{1,12}")


def sign(path: str, expires: int, secret: bytes) -> str:
    """Give the path with its query.

    Args:
        path: what the link opens.
        expires: seconds since 1970.
        secret: of all nodes.
    """
    return f"{path}?expires={expires}&signature={_signature(path, expires, secret)}"


def opens(path: str, query: Mapping[str, str], secret: bytes, *, now: float) -> bool:
    """Whether a query opens the path: signed with this secret, and not over."""
    text, signature = query.get("expires", ""), query.get("signature", "")
    if not _EXPIRES.fullmatch(text) or not signature.isascii():
        return False
    expires = int(text)
    return hmac.compare_digest(_signature(path, expires, secret), signature) and now < expires


def _signature(path: str, expires: int, secret: bytes) -> str:
    return hmac.new(secret, f"link\n{expires}\n{path}".encode(), hashlib.sha256).hexdigest()
