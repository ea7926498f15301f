"""Outgoing HTTP: sessions for the operator's URLs, and for the customers' URLs of each line.

Requests and long-lived connections (WebSockets, event streams) have separate pools; those of
customers' URLs are limited for each line.

The trusted sessions' WebSocket handshakes follow redirects within the same origin only, since their
headers contain secrets. The guarded sessions check every request, redirects included: the URL before
it is sent, and in the resolver the addresses that are then connected to.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from bridge.call.model import LineName
from bridge.errors import LegError
from bridge.http.address_guard import (
    ENCRYPTED,
    ConnectorResolver,
    Guard,
    blocked,
    host_of,
    read_address,
)
from bridge.http.dns_limits import OPERATOR, CountedLookups, CountLookup, LineLookups
from bridge.http.resolver import Dns, Resolver

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 30.0
"""Timeout of a request, unless its caller sets another."""
MAX_TRUSTED: Final = 512
MAX_PER_LINE: Final = 256
"""Connections for requests to customers' URLs of one line on one node; more wait."""
MAX_PER_HOST: Final = 128
"""Of these to one host and port."""
UNLIMITED: Final = 0
"""For long-lived connections, which calls and `limits.streams_per_line` bound."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
HTTP_SCHEMES: Final = ("https", "http")
SCHEMES: Final = (*HTTP_SCHEMES, "wss", "ws")

Session: TypeAlias = aiohttp.ClientSession
"""What opens connections elsewhere: only the classes here make one."""


class LineHttp:
    """The guarded sessions of one line; their requests raise `AddressBlocked`."""

    def __init__(self, guard: Guard, resolver: Resolver) -> None:
        self._guard = guard
        self._resolver = resolver
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    def guarded(self) -> aiohttp.ClientSession:
        """Return the session for requests."""
        return self._session("requests", MAX_PER_LINE, MAX_PER_HOST)

    def streams(self) -> aiohttp.ClientSession:
        """Return the session for WebSockets."""
        return self._session("streams", UNLIMITED, UNLIMITED)

    async def check(self, url: str, *, schemes: Sequence[str] = HTTP_SCHEMES) -> None:
        """Check a URL (`Guard.check`)."""
        await self._guard.check(url, self._resolver, schemes=schemes)

    async def aclose(self) -> None:
        """Close all connections."""
        await _close(self._sessions)

    def _session(self, kind: str, limit: int, limit_per_host: int) -> aiohttp.ClientSession:
        if kind not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=limit,
                limit_per_host=limit_per_host,
                resolver=ConnectorResolver(self._resolver, self._guard),
                use_dns_cache=False,
            )
            self._sessions[kind] = _open(connector, self._check_request)
        return self._sessions[kind]

    async def _check_request(
        self, request: ClientRequest, handler: ClientHandlerType
    ) -> ClientResponse:
        # Addresses in the URL itself do not pass the resolver.
        literal = read_address(host_of(request.url))
        if literal is not None and not self._guard.may_connect(literal):
            raise blocked()
        if request.url.scheme not in ENCRYPTED:
            await self.check(str(request.url), schemes=SCHEMES)
        return await handler(request)


class Http:
    """All sessions, each created when first used."""

    def __init__(
        self,
        guard: Guard,
        *,
        resolver: Resolver | None = None,
        count_lookup: CountLookup = lambda asker, outcome: None,
    ) -> None:
        """`guard` checks customers' URLs; `resolver` is the machine's if None."""
        self._guard = guard
        self._resolver = resolver or Dns()
        self._count_lookup = count_lookup
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._lines: dict[LineName, LineHttp] = {}

    def trusted(self) -> aiohttp.ClientSession:
        """Return the session for requests to URLs in the settings."""
        return self._session("requests", MAX_TRUSTED)

    def trusted_streams(self) -> aiohttp.ClientSession:
        """Return the session for WebSockets and event streams to URLs in the settings."""
        return self._session("streams", UNLIMITED)

    def of(self, line: LineName) -> LineHttp:
        """Return the sessions for customers' URLs of a line."""
        if line not in self._lines:
            self._lines[line] = LineHttp(
                self._guard, LineLookups(self._resolver, self._count_lookup)
            )
        return self._lines[line]

    async def aclose(self) -> None:
        """Close all connections; sessions used later are new."""
        await _close(self._sessions)
        for line in self._lines.values():
            await line.aclose()

    def _session(self, kind: str, limit: int) -> aiohttp.ClientSession:
        if kind not in self._sessions:
            look_ups = CountedLookups(self._resolver, self._count_lookup, OPERATOR)
            connector = aiohttp.TCPConnector(limit=limit, resolver=ConnectorResolver(look_ups))
            self._sessions[kind] = _open(connector, refuse_cross_origin_redirect)
        return self._sessions[kind]


def origin_of(url: str) -> str:
    """Return the origin of a URL; an invalid one is its own, and "" has none."""
    try:
        return str(URL(url).origin()) if url else ""
    except ValueError:
        return url


def within_origin(url: URL, location: str) -> URL:
    """Return the target of a redirect.

    Raises:
        LegError: it is of another origin, or invalid.
    """
    try:
        target = url.join(URL(location))
        if location and target.origin() == url.origin():
            return target
    except ValueError:
        pass
    raise LegError("the answer is a redirect to another origin, which is not followed")


async def refuse_cross_origin_redirect(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """Refuse handshakes that are redirected to another origin: aiohttp always follows."""
    response = await handler(request)
    if response.status in REDIRECTS and "Upgrade" in request.headers:
        try:
            within_origin(request.url, response.headers.get("Location", ""))
        except LegError:
            response.close()
            raise
    return response


async def _close(sessions: dict[str, aiohttp.ClientSession]) -> None:
    while sessions:
        await sessions.popitem()[1].close()


def _open(
    connector: aiohttp.TCPConnector, middleware: aiohttp.ClientMiddlewareType
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS),
        middlewares=(middleware,),
        headers={"User-Agent": "webrtc-media-bridge"},
    )
