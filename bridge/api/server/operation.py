"""Operations: each method of a path declared once, from which its route and its description come.

The decorators of a `Group` make an `Operation` of a handler. Its docstring is the operation's
summary and description. The struct of its parameter `body` is read from the JSON body, that of
`query` from the query, and the struct it returns is the answer's payload. A handler that returns a
response has answered itself; its declaration says with what content.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partialmethod
from types import UnionType
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec
from aiohttp import web
from msgspec import Struct

from bridge.api.server.auth import Access, Keys
from bridge.api.server.body import named_call, read_fields
from bridge.api.server.fields import meant, read, unknown_names
from bridge.api.server.names import MAX_NAME, WARNINGS
from bridge.api.server.services import ACCESS, CONTROL, LINES, NODE
from bridge.call.model import LineName
from bridge.errors import InvalidRequest
from bridge.node.runner import CallRunner
from bridge.settings.line import TEST_KEY
from bridge.wire import trace_context
from bridge.wire.call_id import native
from bridge.wire.trace_context import TRACEPARENT, TRACESTATE, TraceContext

log = logging.getLogger(__name__)

JSON: Final = "application/json"
CALL: Final = (404, 409, 502, 503)
"""Errors about a call: there is none, it is in another state, its node does not answer."""
Schema: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[..., Awaitable[Any]]
Service = TypeVar("Service")
Field: TypeAlias = Any
"""The value of one of the fields of `Operation`."""


@dataclass(frozen=True, slots=True)
class Auth:
    """What opens an operation."""

    schemes: tuple[str, ...]
    """Security schemes of the OpenAPI document."""
    check: Callable[[Keys, web.Request], Access | None]


FILE: Final[Schema] = {"type": "string"}
"""The schema of a file or text."""

NOBODY: Final = Auth((), lambda _keys, _request: None)
"""Open to all."""
KEY: Final = Auth(("token", "bearer"), lambda keys, request: Access(keys.line(request)))
ADMIN: Final = Auth(
    ("admin", "adminBearer", "adminHeader"),
    lambda keys, request: Access(LineName(""), admin=keys.check_admin(request)),
)
"""An admin key (`admin.keys`), which opens nothing else."""
CONSOLE: Final = Auth(
    ("console", "consoleBearer"),
    lambda keys, request: Access(LineName(""), admin=keys.check_console(request)),
)
"""A console key (`console.keys`), which opens nothing else."""
METRICS: Final = Auth(("token", "bearer"), lambda keys, request: keys.check_metrics(request))
"""One of `metrics.keys`. Where there are none: a line's key, or the local token."""
TICKET: Final = Auth(("token", "bearer", "ticket"), lambda keys, request: keys.access(request))
"""A key, or a ticket of the call in the same headers."""
REPORT: Final = Auth(TICKET.schemes, lambda keys, request: keys.access(request, counted=False))
"""The same, for what has a limit of its own and must not use up that of a line's tickets."""
QUERY: Final = Auth(
    ("token", "bearer", "query"), lambda keys, request: Access(keys.line(request, query=True))
)
"""The key may be in the query, for clients that can set no header."""
GATEWAY: Final = Auth(
    ("token", "bearer", "query"), lambda keys, request: Access(keys.webhook_line(request))
)
"""A key that may also be one of the line's webhook keys."""
QUERY_TICKET: Final = Auth(
    ("token", "bearer", "query", "ticket", "ticketQuery"),
    lambda keys, request: keys.access(request, query=True),
)
LIVEKIT: Final = Auth(("bearer", "accessToken"), QUERY_TICKET.check)
"""As LiveKit's client SDKs send a ticket."""
APPID: Final = Auth(("token", "bearer", "appid"), KEY.check)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What surrounds a payload."""

    wrap: Callable[[Any], object] = lambda payload: payload
    describe: Callable[[Schema], Schema] = lambda schema: schema


BARE: Final = Envelope()
NATIVE: Final = Envelope(
    lambda payload: {"code": 200, "data": payload, "success": True},
    lambda schema: {
        "type": "object",
        "properties": {"code": {"const": 200}, "data": schema, "success": {"const": True}},
        "required": ["code", "data", "success"],
    },
)


class Done(Struct):
    """The answer of an operation with nothing more to say."""

    ok: Literal[True] = True


@dataclass(frozen=True, slots=True)
class Context:
    """A request that has been let in; `context[KEY]` is what answers it of one subject (`services`)."""

    http: web.Request
    access: Access

    def __getitem__(self, key: web.AppKey[Service]) -> Service:
        return self.http.app[key]

    @property
    def line(self) -> LineName:
        """The line of its key or ticket."""
        return self.access.line

    @property
    def call_id(self) -> str:
        """The native id of the call in the path; other text as it is, which no call has as its id."""
        text = named_call(self.http.match_info) or ""
        return native(text) or text

    @property
    def is_test_key(self) -> bool:
        """Whether the request has a test key, for which Chirp's ids differ."""
        key = self[ACCESS].keys.rate_key(self.http)
        return key is not None and key.startswith(TEST_KEY.encode())

    @property
    def trace(self) -> TraceContext:
        """The trace context for a call begun by this request: that of its headers, if they include a line's key."""
        if not self[NODE].tracer.enabled or not self.line or self.access.ticket is not None:
            return trace_context.NONE
        headers = self.http.headers
        state = ",".join(headers.getall(TRACESTATE, ()))
        return trace_context.read(headers.get(TRACEPARENT, ""), state)

    def live_call(self, call_id: str = "") -> CallRunner:
        """Return a live call of the line; by default the one in the path.

        Raises:
            CallNotFound, CallEnded, StillDialling: as `Manager.live`.
        """
        return self[CONTROL].manager.live(self.line, call_id or self.call_id)

    def path(self, name: str) -> str:
        """Return a parameter of the path."""
        return self.http.match_info[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path, or of several that mean the same."""

    method: str
    paths: tuple[str, ...]
    handler: Handler
    face: str
    """The group it is listed in."""
    envelope: Envelope
    auth: Auth
    errors: tuple[int, ...] = ()
    """Statuses of errors besides those that follow from its key, query and body."""
    status: int = 200
    content: str = JSON
    """The content type of a success."""
    takes: Schema | None = None
    """The body's schema, where the handler reads it itself."""
    takes_content: str = JSON
    gives: Any = None
    """The type or schema of a success, where the handler makes the response itself."""
    other_content: str = ""
    """Another content type that a success may have, in a response that the handler makes itself."""
    also: Mapping[int, Any] = field(default_factory=dict)
    """Other statuses without the face's error envelope: a type of their body, None for no body."""
    reports_every_field: bool = False
    """Whether an error names all wrong fields of the body, not only the first."""
    is_vendors: bool = False
    """Whether its body is a vendor's: an unknown field is ignored, or warned of if it is nearly known; else it is refused."""
    needs_enabled_line: bool = False
    """Whether the line must be connected (409)."""
    max_body: int = 0
    """Bytes of the body; 0 is the usual limit (`reads.BODY_BYTES`)."""
    starts_call: bool = False
    """Of several nodes, one with few calls performs it."""
    body: Any = None
    """The struct of the JSON body, or a union of such."""
    query: type[Struct] | None = None
    payload: Any = None
    """The type of what the handler returns."""

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return self._doc[0]

    @property
    def description(self) -> str:
        """The rest of the handler's docstring."""
        return " ".join(" ".join(self._doc[1:]).split())

    @property
    def _doc(self) -> list[str]:
        return (inspect.getdoc(self.handler) or "").partition("\n\nRaises:")[0].split("\n")

    @property
    def has_body(self) -> bool:
        """Whether it reads a body."""
        return self.body is not None or self.takes is not None

    @property
    def needs_body(self) -> bool:
        """Whether a request without a body lacks a field."""
        if self.takes is not None:
            return bool(self.takes.get("required"))
        parts = get_args(self.body) or (self.body,)
        return all(any(one.required for one in msgspec.structs.fields(part)) for part in parts)

    @property
    def statuses(self) -> tuple[int, ...]:
        """All statuses of errors; 403 is also what a wrong Host or Origin gets."""
        found = {403, 429, *self.errors}
        found |= {401} if self.auth is not NOBODY else set()
        found |= {400, 408, 413} if self.has_body else set()
        found |= {400} if self.query is not None else set()
        found |= {409} if self.needs_enabled_line else set()
        return tuple(sorted(found))

    @property
    def routes(self) -> tuple[web.RouteDef, ...]:
        """Its routes for aiohttp."""
        return tuple(web.RouteDef(self.method, path, self.answer, {}) for path in self.paths)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        access = self.auth.check(request.app[ACCESS].keys, request) or Access(LineName(""))
        context = Context(request, access)
        if self.needs_enabled_line:
            context[LINES].lines.check_on(access.line)
        given: dict[str, Any] = {}
        if self.query is not None:
            given["query"] = read(self.query, request.query, strict=False)
        if self.body is not None:
            fields = await read_fields(request, self.max_body)
            kind = meant(self.body, fields)
            self._check_names(context, kind, fields)
            given["body"] = read(kind, fields, every=self.reports_every_field)
        payload = await self.handler(context, **given)
        if isinstance(payload, web.StreamResponse):
            return payload
        body = msgspec.json.encode(self.envelope.wrap(payload))
        return web.Response(body=body, status=self.status, content_type=JSON)

    def _check_names(
        self, context: "Context", kind: type[Struct], fields: Mapping[str, Any]
    ) -> None:
        """Refuse unknown fields, or warn of those that are nearly known, and of unknown names in lists."""
        ignores = self.is_vendors or hasattr(kind, "is_meant")
        for found in unknown_names(kind, fields, self.face):
            if not found.field and not ignores:
                raise InvalidRequest(found.text, field=found.name[:MAX_NAME])
            if not found.field and found.edits > 1:
                continue
            context.http.setdefault(WARNINGS, []).append(found.text)
            if context[ACCESS].warning_log.is_new(context.line, found.text):
                extra = {"line": context.line, "route": self.paths[0], "warning": found.text}
                log.warning("request.name_unknown", extra=extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Operations that are listed together and have the same envelope and keys."""

    name: str
    envelope: Envelope = NATIVE
    auth: Auth = KEY
    is_vendors: bool = False
    """As in `Operation`."""

    def declare(self, method: str, *paths: str, **more: Field) -> Callable[[Handler], Operation]:
        """Declare an operation; `more` are fields of `Operation`."""

        def declared(handler: Handler) -> Operation:
            hints = get_type_hints(handler, include_extras=True)
            fields: dict[str, Any] = {
                "face": self.name,
                "envelope": self.envelope,
                "auth": self.auth,
                "is_vendors": self.is_vendors,
                "body": hints.get("body"),
                "query": hints.get("query"),
            }
            payload = _payload(hints["return"])
            is_response = isinstance(payload, type) and issubclass(payload, web.StreamResponse)
            return Operation(
                method=method,
                paths=paths,
                handler=handler,
                payload=None if is_response else payload,
                **fields | more,
            )

        return declared

    get = partialmethod(declare, "GET")
    post = partialmethod(declare, "POST")
    put = partialmethod(declare, "PUT")
    patch = partialmethod(declare, "PATCH")
    delete = partialmethod(declare, "DELETE")


def _payload(returned: Field) -> Field:
    """Return what a handler returns beside responses in another format."""
    parts = [
        part
        for part in get_args(returned)
        if not (isinstance(part, type) and issubclass(part, web.StreamResponse))
    ]
    return parts[0] if isinstance(returned, UnionType) and len(parts) == 1 else returned
