"""Who asks: a key in a header, to the line that it belongs to."""

import asyncio
import hmac
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from bridge.api.rate import RateLimit
from bridge.call.model import LineName
from bridge.errors import Forbidden, Unauthorized

BEARER = "bearer "

WAVIX_PATHS: Final = re.compile(r"/v1/call(?:/|\Z)|/v1/calls/[^/]+/streams/")
"""Where the Wavix face answers, and a key may stand in the query as `appid`."""


class Keys:
    """Every line's keys, compared in constant time."""

    def __init__(
        self,
        lines: Mapping[LineName, list[str]],
        *,
        same_origin_only: set[str],
        rate: RateLimit,
    ) -> None:
        """Take the keys.

        Args:
            lines: the keys of each line.
            same_origin_only: keys that pages of other origins may not use (the demo key).
            rate: how often one key may ask.
        """
        self._rate = rate
        self._lines = {key.encode(): name for name, keys in lines.items() for key in keys}
        self._same_origin_only = {key.encode() for key in same_origin_only}

    def line(self, request: web.Request) -> LineName:
        """Find the line that the request's key belongs to.

        Raises:
            Unauthorized: no key, or an unknown one.
            Forbidden: a same-origin key used from another origin's page.
            RateLimited: too many requests with this key.
        """
        key = _presented(request)
        if key is None:
            raise Unauthorized("send your key in the header `token` or `Authorization: Bearer`")
        found: LineName | None = None
        for known, name in self._lines.items():
            if hmac.compare_digest(known, key):
                found = name
        if found is None:
            raise Unauthorized("this key is not known")
        if key in self._same_origin_only and not same_origin(request):
            raise Forbidden("the demo key works for this bridge's own page only; configure a key")
        self._rate.spend(key, asyncio.get_running_loop().time())
        return found

    def known(self, request: web.Request) -> bytes | None:
        """Give the request's key if it is one of ours."""
        key = _presented(request)
        known = key is not None and any(hmac.compare_digest(ours, key) for ours in self._lines)
        return key if known else None


def same_origin(request: web.Request) -> bool:
    """Whether the request comes from a page of this very service, or from no page at all."""
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def _presented(request: web.Request) -> bytes | None:
    authorization = request.headers.get("Authorization", "")
    if authorization.lower().startswith(BEARER):
        return _bytes(authorization[len(BEARER) :].strip())
    token = request.headers.get("token")
    if token:
        return _bytes(token)
    appid = request.query.get("appid") if WAVIX_PATHS.match(request.path) else None
    return _bytes(appid) if appid else None


def _bytes(header: str) -> bytes:
    """Give a header as it was sent: what is not UTF-8 in it arrives as surrogates."""
    return header.encode("utf-8", "surrogateescape")
