"""JWTs as LiveKit's server SDKs make them, and such as they do not."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

SECRET = "a-secret-of-thirty-two-characters"


def part(value: object) -> str:
    """Return a part of a JWT: JSON, or bytes as they are."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(
    claims: object, *, header: object = None, secret: str = SECRET, digest: Any = hashlib.sha256
) -> str:
    """Sign claims as any JWT library does."""
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), digest))}"


def minted(
    key: str,
    room: str,
    identity: str = "near",
    *,
    seconds: float = 3600,
    begins: float = 0,
    name: str = "",
    secret: str = SECRET,
    kind: str = "",
    **grants: object,
) -> str:
    """Return a token that is good from `begins` on, for so many seconds from now."""
    now = datetime.now(UTC).timestamp()
    video = {"roomJoin": True, "room": room} | grants
    claims = {"iss": key, "sub": identity, "name": name, "video": video}
    claims |= {"kind": kind} if kind else {}
    return jwt(claims | {"nbf": now + begins, "exp": now + seconds}, secret=secret)
