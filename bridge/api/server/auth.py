"""Authentication: a key opens its line, a ticket one party of one call."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from bridge.api.server.proxies import sign_of_proxy
from bridge.api.server.rate import RATE_HEADERS, RateLimit
from bridge.api.server.scopes import ADMIN, CONSOLE, LOCAL, METRICS, Scopes
from bridge.api.server.tickets import Tickets
from bridge.api.server.unauthenticated import UnauthenticatedLimit
from bridge.call.model import LegOwner, LineName
from bridge.errors import Forbidden, NotFound, Unauthorized, WrongKey
from bridge.http import local_token
from bridge.node.line_book import LineBook
from bridge.wire.call_id import native
from bridge.wire.ticket import Ticket

BEARER = "bearer "

WAVIX_PATHS: Final = re.compile(
    r"/v1/call(?:/|\Z)|/v1/calls/[^/]+/(?:answer|streams|play|audio|collect)(?:/|\Z)"
    r"|/v1/calls/webhooks\Z|/v1/mydids(?:/|\Z)|/v1/cdrs?/|/v1/recordings(?:/|\Z)"
)
"""The paths of the Wavix face, where a key may be in the query as `appid`."""
LIVEKIT_PATHS: Final = re.compile(r"(?:/livekit)?/rtc(?:/|\Z)")
"""The paths of LiveKit's client SDKs, which in browsers send a ticket or JWT in the query as `access_token`."""
LIVEKIT_SERVER_PATHS: Final = re.compile(r"(?:/livekit)?/(?:twirp/|agent\Z)")
"""The paths of LiveKit's server APIs and of its agents, which the bridge has not."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a request's key or ticket opens."""

    line: LineName
    ticket: Ticket | None = None
    """None for a key, which opens all calls of its line."""
    admin: str = ""
    """The id of the key that administers lines or opens the console, and opens no line."""

    @property
    def owner(self) -> LegOwner | None:
        """The owner of the legs that this request creates; None for the line's key."""
        return LegOwner(self.ticket.party, self.ticket.identity) if self.ticket else None

    def line_for(self, call_id: str) -> LineName:
        """Return the line for a request about a call, whose id may have any form.

        Raises:
            Forbidden: the ticket is for another call.
        """
        if self.ticket is not None and (native(call_id) or call_id) != self.ticket.call_id:
            raise Forbidden("this ticket is for another call")
        return self.line

    def party(self, wanted: str | None) -> str | None:
        """Return the party that a request acts for: the one it names, else its ticket's.

        Raises:
            Forbidden: the ticket is for another party.
        """
        if self.ticket is None:
            return wanted
        if wanted not in (None, self.ticket.party):
            raise Forbidden(f"this ticket is for the party {self.ticket.party}")
        return self.ticket.party

    def check_call_lives(self, *, ended: bool) -> None:
        """Refuse a ticket whose call has ended.

        Raises:
            Unauthorized: the call of the ticket has ended.
        """
        if ended and self.ticket is not None:
            raise Unauthorized("the call of this ticket has ended")


class Keys:
    """Authenticates requests by the keys of all lines and the tickets of their calls."""

    def __init__(
        self,
        lines: LineBook,
        *,
        same_origin_only: set[str],
        rate: RateLimit,
        tickets: Tickets,
        unauthenticated: UnauthenticatedLimit,
        scopes: Scopes,
    ) -> None:
        """Create the authenticator.

        Pages of other origins may not use the keys in `same_origin_only` (the demo keys); the tickets
        of a line's calls share one rate limit.
        """
        self._scopes = scopes
        self._unauthenticated = unauthenticated
        self._rate = rate
        self._tickets = tickets
        self._lines = lines
        self._same_origin_only = {key.encode() for key in same_origin_only}
        self._demo_lines = {lines.line_of(key) for key in self._same_origin_only}

    def line(self, request: web.Request, *, query: bool = False) -> LineName:
        """Return the line that the request's key belongs to.

        With `query` the key may be in the query as `token`: for WebSockets and event streams only, on
        which browsers can set no header.

        Raises:
            Unauthorized: no key, or an unknown one.
            Forbidden: a same-origin key used from another origin's page, or a ticket.
            RateLimited: too many requests with this key.
        """
        key = _presented(request, query=query)
        line = self._line(request, key)
        if line is None:
            if scope := self._scopes.find(key):
                raise Forbidden(f"this key is only valid for {scope.path}; send the line's key")
            if self._ticket(request, key) is None:
                self._unauthenticated.wrong_key(request)
                raise Unauthorized("unknown API key")
            raise Forbidden("a ticket is only valid for the media of its call; send the line's key")
        self._spend(request, key)
        return line

    def check_metrics(self, request: web.Request) -> None:
        """Check that a request may read the metrics.

        Unless they have keys of their own, programs on this machine read them with the local token;
        lines' keys open them too, but for the demo keys, which everybody knows.

        Raises:
            Unauthorized, Forbidden, RateLimited: as `line`; Forbidden also for a line's key where
                the metrics have keys of their own.
        """
        guarded, key = METRICS in self._scopes.paths, _key(request, query=False)
        if not guarded and LOCAL in self._scopes.paths:
            scope = None if key is None else self._scopes.find(key)
            if key is None or key in self._same_origin_only or (scope and scope.path == LOCAL):
                self._check_local(request, "the metrics without a key are")
                return
        scope = self._scopes.find(_presented(request, query=False))
        if scope is None or scope.path != METRICS:
            self.line(request)
            if guarded:
                raise Forbidden(
                    "a line's key does not open /metrics on this bridge: send one of metrics.keys"
                )

    def check_admin(self, request: web.Request) -> str:
        """Return the id, for the log, of the admin key that a request has (`_check_scope`)."""
        return self._check_scope(request, ADMIN, "admin")

    def check_console(self, request: web.Request) -> str:
        """Return the id, for the log, of the console key that a request has (`_check_scope`).

        In the demonstration without lines it is the local token, from the bridge's own page or from no
        page (`Forbidden`).
        """
        if CONSOLE in self._scopes.paths or not self._same_origin_only:
            return self._check_scope(request, CONSOLE, "console")
        self._check_local(request, "the console without a key is")
        if not same_origin(request):
            raise Forbidden("the console is open to this bridge's own page only")
        return ""

    def _check_scope(self, request: web.Request, path: str, kind: str) -> str:
        """Return the id of the key that a request has, of those for a path.

        Raises:
            NotFound: the path has no keys.
            Unauthorized: no key, or an unknown one.
            Forbidden: another key of ours.
        """
        key = _presented(request, query=False)
        if path not in self._scopes.paths:
            raise NotFound(f"no {kind} key is configured: set {kind}.keys")
        scope = self._scopes.find(key)
        if scope is None:
            self.line(request)
        if scope is None or scope.path != path:
            raise Forbidden(f"this key does not open this path: send the {kind} key ({kind}.keys)")
        return scope.key_id

    def webhook_line(self, request: web.Request) -> LineName:
        """Return the line whose gateway posts an event; the key may be in the query.

        Raises:
            Unauthorized, Forbidden, RateLimited: as `line`.
        """
        key = _presented(request, query=True)
        scope = self._scopes.find(key)
        if scope is None or not scope.line:
            return self.line(request, query=True)
        self._spend(request, key)
        return scope.line

    def access(self, request: web.Request, *, query: bool = False, counted: bool = True) -> Access:
        """Return what the request's key or ticket opens, for routes about a call's media.

        With `counted` a ticket's request counts against the rate limit of its line's tickets.

        Raises:
            Unauthorized: no key or ticket, an unknown one, or an expired ticket; on the paths of
                LiveKit's SDKs whether it has expired is left to `api.faces.livekit.access`.
            Forbidden: a same-origin key used from another origin's page.
            RateLimited: too many requests with this key, or with the tickets of this line.
        """
        key = _presented(request, query=query)
        try:
            ticket = None if self._line(request, key) else self._ticket(request, key)
        except WrongKey:
            self._unauthenticated.wrong_key(request)
            raise
        if ticket is None:
            return Access(self.line(request, query=query))
        line = LineName(ticket.line)
        if counted:
            self._spend(request, _ticket_rate_key(line))
        return Access(line, ticket)

    def find(self, request: web.Request, *, query: bool = True) -> Access | None:
        """Return what the request's key or ticket opens; None without a valid one."""
        try:
            key = _presented(request, query=query)
            if line := self._line(request, key):
                return Access(line)
            ticket = self._ticket(request, key)
        except (Unauthorized, Forbidden):
            return None
        return Access(LineName(ticket.line), ticket) if ticket else None

    def admits(self, request: web.Request) -> bool:
        """Whether the request has any valid key or ticket."""
        key = _key(request, query=True)
        if key is None:
            return False
        if scope := self._scopes.find(key):
            # Another node would not see what shows here where a request comes from.
            here = sign_of_proxy(request) is None and same_origin(request)
            return here or scope.path != LOCAL
        return self.find(request) is not None

    def rate_key(self, request: web.Request) -> bytes | None:
        """Return the key that the request is counted under; None without a valid key or ticket."""
        found = self.find(request)
        if found is None:
            return None
        return _ticket_rate_key(found.line) if found.ticket else _presented(request, query=True)

    def _check_local(self, request: web.Request, what: str) -> None:
        """Refuse what has not the local token, or is not from this machine."""
        refuse_proxied(request, what)
        key = _key(request, query=False)
        scope = None if key is None else self._scopes.find(key)
        if scope is not None and scope.path == LOCAL:
            return
        if key is not None and self._lines.line_of(key) is None and scope is None:
            self._unauthenticated.wrong_key(request)
        raise Unauthorized(
            f"{what} for programs on this machine, which send the local token: it is in the link that "
            f"the bridge prints when it has started, and in the file {local_token.FILE} of its data folder"
        )

    def _spend(self, request: web.Request, key: bytes) -> None:
        if not self._rate.limited:
            return
        left = 0.0
        try:
            left = self._rate.spend(key, asyncio.get_running_loop().time())
        finally:
            note_rate(request, self._rate, left)

    def _line(self, request: web.Request, key: bytes) -> LineName | None:
        found = self._lines.line_of(key)
        if found:
            self._lines.check_open(found)
        if found and key in self._same_origin_only:
            refuse_proxied(request, "the demo key is")
            if not same_origin(request):
                raise Forbidden(
                    "the demo key works for this bridge's own page only; configure a key"
                )
        return found

    def _ticket(self, request: web.Request, key: bytes) -> Ticket | None:
        sdk = LIVEKIT_PATHS.match(request.path) is not None
        ticket = self._tickets.read(key, sdk=sdk)
        # The line may have been removed since the ticket was issued.
        if ticket is None or not self._lines.has(ticket.line):
            return None
        self._lines.check_open(LineName(ticket.line))
        if ticket.line in self._demo_lines:
            refuse_proxied(request, "the demo line is")
        return ticket


def note_rate(request: web.Request, rate: RateLimit, left: float) -> None:
    """Add the rate limit's headers to the answer."""
    request[RATE_HEADERS] = rate.headers(left, datetime.now(UTC).timestamp())


def same_origin(request: web.Request) -> bool:
    """Whether the request comes from a page of this service, or from no page."""
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.host
    except ValueError:
        return False


def refuse_proxied(request: web.Request, what: str) -> None:
    """Raise `Unauthorized` for a request that only programs on this machine may make, and none of them did.

    The error's sentence begins with `what`.
    """
    if (sign := sign_of_proxy(request)) is not None:
        raise Unauthorized(
            f"{what} for programs on this machine, and {sign} shows that a proxy forwarded "
            "this request: set [lines.NAME] keys and http.allowed_hosts, and send a key"
        )


def _key(request: web.Request, *, query: bool) -> bytes | None:
    authorization = request.headers.get("Authorization", "")
    if authorization.lower().startswith(BEARER):
        return _bytes(authorization[len(BEARER) :].strip())
    found = request.headers.get("token") or (request.query.get("token") if query else None)
    if not found and WAVIX_PATHS.match(request.path):
        found = request.query.get("appid")
    if not found and LIVEKIT_PATHS.match(request.path):
        found = request.query.get("access_token")
    if not found and " " not in authorization:
        found = authorization  # the whole header, as ZuckZapGo's admin clients send it
    return _bytes(found) if found else None


def _presented(request: web.Request, *, query: bool) -> bytes:
    if (key := _key(request, query=query)) is None:
        wavix = "as `?appid=`, or " if WAVIX_PATHS.match(request.path) else ""
        raise Unauthorized(f"send your key {wavix}in the header `token` or `Authorization: Bearer`")
    return key


def _ticket_rate_key(line: LineName) -> bytes:
    """Return the key that a line's tickets are counted under; no other key has a line break."""
    return b"tickets\n" + line.encode()


def _bytes(header: str) -> bytes:
    """Return a header's bytes; aiohttp decodes what is not UTF-8 to surrogates."""
    return header.encode("utf-8", "surrogateescape")
