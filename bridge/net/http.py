"""The process's outgoing HTTP: sessions for the operator's URLs, and for the customers' of each line.

Requests and what stays open (WebSockets, event streams) have connections of their own, so that
neither waits for the other; customers' connections are limited for each line by itself.

The trusted session's handshakes of WebSockets follow redirects within the same origin only: what is
secret in their headers is for nobody else.

The guarded sessions judge every request, redirects included: the URL before it is sent, and the
addresses of its name in the resolver, which is also what is then connected to.
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
"""Of a request for which its caller sets no other limit."""
MAX_TRUSTED: Final = 512
MAX_PER_LINE: Final = 256
"""Connections of one line on one node for requests to customers' URLs; more wait."""
MAX_PER_HOST: Final = 128
"""Of these, to one host and port."""
UNLIMITED: Final = 0
"""For what stays open: calls and `limits.streams_per_line` bound it."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
HTTP_SCHEMES: Final = ("https", "http")
SCHEMES: Final = (*HTTP_SCHEMES, "wss", "ws")


class LineHttp:
    """The sessions for the URLs of one line's customers; their requests raise `AddressBlocked`."""

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
        """Return the session for WebSockets that the bridge dials."""
        if self._streams is None:
            self._streams = self._session(UNLIMITED, UNLIMITED)
        return self._streams

    async def check(self, url: str, *, schemes: Sequence[str] = HTTP_SCHEMES) -> None:
        """Check a URL now (`Guard.check`).

        Raises:
            InvalidRequest: it is no URL with one of the schemes.
            AddressBlocked: it leads where customers' URLs may not.
        """
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
        return _session(connector, self._judge)

    async def _judge(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        # The connector asks no resolver about an address in the URL itself.
        literal = read_address(host_of(request.url))
        if literal is not None and not self._guard.permits(literal):
            raise blocked()
        if request.url.scheme not in ENCRYPTED:
            await self.check(str(request.url), schemes=SCHEMES)
        return await handler(request)


class Http:
    """The sessions, each made when it is first asked for; closed last."""

    def __init__(
        self,
        guard: Guard,
        *,
        resolver: Resolver | None = None,
        count_lookup: CountLookup = lambda asker, outcome: None,
    ) -> None:
        """Make it.

        Args:
            guard: judges customers' URLs.
            resolver: looks names up; the default is the machine's.
            count_lookup: counts look-ups.
        """
        self._guard = guard
        self._resolver = resolver or Dns()
        self._count_lookup = count_lookup
        self._trusted: aiohttp.ClientSession | None = None
        self._trusted_streams: aiohttp.ClientSession | None = None
        self._lines: dict[LineName, LineHttp] = {}

    def trusted(self) -> aiohttp.ClientSession:
        """Return the session for requests to URLs that the operator wrote into the settings."""
        if self._trusted is None:
            self._trusted = self._open(MAX_TRUSTED)
        return self._trusted

    def trusted_streams(self) -> aiohttp.ClientSession:
        """Return the session for what stays open at such URLs: WebSockets and event streams."""
        if self._trusted_streams is None:
            self._trusted_streams = self._open(UNLIMITED)
        return self._trusted_streams

    def of(self, line: LineName) -> LineHttp:
        """Return a line's way to its customers' URLs."""
        if line not in self._lines:
            self._lines[line] = LineHttp(
                self._guard, LineLookups(self._resolver, self._count_lookup)
            )
        return self._lines[line]

    async def aclose(self) -> None:
        """Close all connections; a session that is asked for later is a new one."""
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
    """Return scheme, host and port of a URL; what is none is its own origin, and "" has none."""
    try:
        return str(URL(url).origin()) if url else ""
    except ValueError:
        return url


def within_origin(url: URL, location: str) -> URL:
    """Give where a redirect leads.

    Args:
        url: what was asked.
        location: the header of the answer.

    Raises:
        LegError: it leads to another origin, or nowhere.
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
    """Refuse handshakes that are sent elsewhere: aiohttp offers no way not to follow."""
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
