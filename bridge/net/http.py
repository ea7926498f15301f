"""Outgoing HTTP: sessions for the operator's URLs, and for the customers' URLs of each line.

Requests and long-lived connections (WebSockets, event streams) have separate pools; those of
customers' URLs are limited for each line.

The trusted sessions' WebSocket handshakes follow redirects within the same origin only, since their
headers contain secrets. The guarded sessions check every request, redirects included: the URL before
it is sent, and in the resolver the addresses that are then connected to.
"""

from collections.abc import Sequence
from typing import Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from bridge.call.model import LineName
from bridge.errors import LegError
from bridge.net.dns_limits import CountLookup, LineLookups, OperatorLookups
from bridge.net.guard import ENCRYPTED, ConnectorResolver, Guard, blocked, host_of, read_address
from bridge.net.resolver import Dns, Resolver

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


class LineHttp:
    """The guarded sessions of one line; their requests raise `AddressBlocked`."""

    def __init__(self, guard: Guard, resolver: Resolver) -> None:
        self._guard = guard
        self._resolver = resolver
        self._requests: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    def guarded(self) -> aiohttp.ClientSession:
        """Return the session for requests."""
        if self._requests is None:
            self._requests = self._session(MAX_PER_LINE, MAX_PER_HOST)
        return self._requests

    def streams(self) -> aiohttp.ClientSession:
        """Return the session for WebSockets."""
        if self._streams is None:
            self._streams = self._session(UNLIMITED, UNLIMITED)
        return self._streams

    async def check(self, url: str, *, schemes: Sequence[str] = HTTP_SCHEMES) -> None:
        """Check a URL (`Guard.check`)."""
        await self._guard.check(url, self._resolver, schemes=schemes)

    async def aclose(self) -> None:
        """Close all connections."""
        sessions, self._requests, self._streams = (self._requests, self._streams), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    def _session(self, limit: int, limit_per_host: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=limit,
            limit_per_host=limit_per_host,
            resolver=ConnectorResolver(self._resolver, self._guard),
            use_dns_cache=False,
        )
        return _session(connector, self._check_request)

    async def _check_request(
        self, request: ClientRequest, handler: ClientHandlerType
    ) -> ClientResponse:
        # Addresses in the URL itself do not pass the resolver.
        literal = read_address(host_of(request.url))
        if literal is not None and not self._guard.permits(literal):
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
        """Set up the sessions.

        Args:
            guard: checks customers' URLs.
            resolver: None for the machine's.
            count_lookup: counts look-ups.
        """
        self._guard = guard
        self._resolver = resolver or Dns()
        self._count_lookup = count_lookup
        self._trusted: aiohttp.ClientSession | None = None
        self._trusted_streams: aiohttp.ClientSession | None = None
        self._lines: dict[LineName, LineHttp] = {}

    def trusted(self) -> aiohttp.ClientSession:
        """Return the session for requests to URLs in the settings."""
        if self._trusted is None:
            self._trusted = self._open(MAX_TRUSTED)
        return self._trusted

    def trusted_streams(self) -> aiohttp.ClientSession:
        """Return the session for WebSockets and event streams to URLs in the settings."""
        if self._trusted_streams is None:
            self._trusted_streams = self._open(UNLIMITED)
        return self._trusted_streams

    def of(self, line: LineName) -> LineHttp:
        """Return the sessions for customers' URLs of a line."""
        if line not in self._lines:
            self._lines[line] = LineHttp(
                self._guard, LineLookups(self._resolver, self._count_lookup)
            )
        return self._lines[line]

    async def aclose(self) -> None:
        """Close all connections; sessions used later are new."""
        sessions = (self._trusted, self._trusted_streams)
        self._trusted = self._trusted_streams = None
        for session in sessions:
            if session is not None:
                await session.close()
        for line in self._lines.values():
            await line.aclose()

    def _open(self, limit: int) -> aiohttp.ClientSession:
        look_ups = OperatorLookups(self._resolver, self._count_lookup)
        connector = aiohttp.TCPConnector(limit=limit, resolver=ConnectorResolver(look_ups))
        return _session(connector, refuse_cross_origin_redirect)


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


def _session(
    connector: aiohttp.TCPConnector, *middlewares: aiohttp.ClientMiddlewareType
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS),
        middlewares=middlewares,
        headers={"User-Agent": "webrtc-media-bridge"},
    )
