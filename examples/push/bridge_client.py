"""The bridge, as the app's server uses it: requests with the key, and webhooks with a signature."""

import hashlib
import hmac
import time
from typing import Any

import aiohttp
from aiohttp import web

REFUSED = {404: web.HTTPNotFound, 409: web.HTTPConflict}
"""What the app is told too: the call has ended; it has been answered by another phone."""


class Bridge:
    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    async def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the `data` of its answer."""
        limit = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=limit, headers={"token": self.key}) as session,
            session.post(self.url + path, json=body) as response,
        ):
            if response.status != 200:
                raise REFUSED.get(response.status, web.HTTPBadGateway)
            data: dict[str, Any] = (await response.json())["data"]
            return data


def genuine(secret: str, header: str, body: bytes) -> bool:
    """Return whether the bridge signed a webhook within the last five minutes."""
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    at = parts.get("t", "")
    if not at.isdecimal() or abs(time.time() - int(at)) > 300:
        return False
    expected = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), parts.get("v1", "").encode())
