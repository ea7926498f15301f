"""The process's outgoing HTTP: one session for the operator's URLs, one for customers'.

The trusted session's handshakes of WebSockets follow redirects within the same origin only: what is
secret in their headers is for nobody else.

The guarded session judges every request, redirects included: the URL before it is sent, and the
addresses of its name in the resolver, which is also what is then connected to.
"""

from typing import Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from yarl import URL

from bridge.errors import LegError
from bridge.net.guard import ENCRYPTED, Guard, GuardedResolver, blocked, host_of, read_address

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 30.0
"""Of a request for which its caller sets no other limit."""
CONNECTIONS: Final = 512
PER_HOST: Final = 64
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
SCHEMES: Final = ("https", "http", "wss", "ws")


class Http:
    """The sessions, each made when it is first asked for; closed last."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._trusted: aiohttp.ClientSession | None = None
        self._guarded: aiohttp.ClientSession | None = None

    def trusted(self) -> aiohttp.ClientSession:
        """Give the session for URLs that the operator wrote into the settings."""
        if self._trusted is None:
            self._trusted = _session(aiohttp.TCPConnector(limit=CONNECTIONS), _stay_at_home)
        return self._trusted

    def guarded(self) -> aiohttp.ClientSession:
        """Give the session for URLs of customers; its requests raise `AddressBlocked`."""
        if self._guarded is None:
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS,
                limit_per_host=PER_HOST,
                resolver=GuardedResolver(self._guard),
                use_dns_cache=False,
            )
            self._guarded = _session(connector, self._judge)
        return self._guarded

    async def aclose(self) -> None:
        """Close all connections; a session that is asked for later is a new one."""
        sessions, self._trusted, self._guarded = (self._guarded, self._trusted), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    async def _judge(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        # The connector asks no resolver about an address in the URL itself.
        literal = read_address(host_of(request.url))
        if literal is not None and not self._guard.permits(literal):
            raise blocked()
        if request.url.scheme not in ENCRYPTED:
            await self._guard.check(str(request.url), schemes=SCHEMES)
        return await handler(request)


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


async def _stay_at_home(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
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
