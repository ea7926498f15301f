"""Middlewares of all requests: ids, the Host check, CORS, metrics, errors as answers, and limits."""

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import hdrs, web

from bridge.api.server.auth import LIVEKIT_SERVER_PATHS, WAVIX_PATHS, same_origin
from bridge.api.server.body import call_named_by
from bridge.api.server.names import WARNING, WARNINGS
from bridge.api.server.rate import LIMIT, RATE_HEADERS, REMAINING, RESET
from bridge.api.server.reads import BODY_BYTES, LARGE_BODIES
from bridge.api.server.services import ACCESS, CLUSTER, CONTROL, EVENTS, NODE, SITE
from bridge.api.server.sibling_gate import from_unix_socket
from bridge.call import events
from bridge.errors import (
    BridgeError,
    CallEnded,
    CallNotFound,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    Unsupported,
)
from bridge.log import request_id as log_request_id
from bridge.metrics.network import UNMATCHED
from bridge.settings.http import host_name

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID = "X-Request-ID"
OVER_LIMIT: web.RequestKey[bool] = web.RequestKey("over_limit", bool)
"""Whether the request's address has too many unauthenticated requests in progress."""
FROM_SIBLING: web.RequestKey[bool] = web.RequestKey("from_sibling", bool)
"""Whether the request has a valid signature of a node on another machine (`api.server.sibling_gate`)."""
PROBES = frozenset({"/healthz", "/readyz"})
"""Requested by load balancers and container engines, under host names of their own."""
EXEMPT = PROBES | {"/whatsapp/webhook"}
"""Exempt from the limit of an address: Meta's webhooks come from few addresses, have a signature
instead of a key, and are limited where they are read (`api.lines.cloud`)."""
HIDES_ENDED_CALLS = re.compile(f"/call/|{WAVIX_PATHS.pattern}")
"""Paths where an ended call is unknown, as the documents of ZuckZapGo, WaGo and Wavix have it.

A ZuckZapGo client takes 409 to mean that the line's engine is off, and connects it again, which would
end every other call of the line.
"""
OFFER = "/call/webrtc/offer"
"""Reports no end, and is urgent."""
CLOSE = "/call/webrtc/close"
"""Means that a browser leaves, and so is no use of its call."""
CHANGES = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH, hdrs.METH_DELETE})
EVENT_STREAM = "text/event-stream"
EXPOSED = f"{REQUEST_ID}, Retry-After, {LIMIT}, {REMAINING}, {RESET}, {WARNING}"
CLIENT_CLOSED_REQUEST = 499
"""The status of a request whose client disconnected before the answer; it is never sent."""

PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "token, authorization, content-type",
    "Access-Control-Max-Age": "600",
}


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in the envelope of the path's face; unexpected ones are logged, not shown."""
    failure = partial(request.app[ACCESS].error_response, request.path)
    try:
        return await handler(request)
    except BridgeError as error:
        _log_failure(request, error)
        return failure(_as_documented(request.path, error))
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        answer = failure(_as_bridge_error(request, error))
        answer.headers.update({k: v for k, v in error.headers.items() if k == "Allow"})
        return answer
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if ended_by_client(request, error):
            log.debug("request.abandoned", extra={"route": _route(request)})
            return web.Response(status=CLIENT_CLOSED_REQUEST)
        log.exception("request.crashed", extra={"route": _route(request)})
        return failure(BridgeError("internal error; the log has the details"))


@web.middleware
async def count_unauthenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count an unauthenticated request against its address until its answer has been sent."""
    if from_sibling(request):
        return await handler(request)
    if request.app[ACCESS].keys.admits(request):
        request.app[ACCESS].connections.mark_authenticated(request.transport)
        return await handler(request)
    over_limit = request.app[ACCESS].unauthenticated.count(request)
    request[OVER_LIMIT] = over_limit and request.path not in EXEMPT
    response = await handler(request)
    if request[OVER_LIMIT]:
        response.force_close()
    return response


@web.middleware
async def refuse_overload(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse an unauthenticated request of an address that has too many in progress."""
    if not request.get(OVER_LIMIT, False):
        return await handler(request)
    request.app[ACCESS].unauthenticated.refuse(request, "too_many")
    raise RateLimited(
        "this address has too many requests without a valid key in progress "
        "(limits.unauthenticated_requests; behind a proxy set http.trusted_proxies)",
        retry_after=1,
    )


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the request's id, in the log and in a header, and count it with its duration.

    A request forwarded by a sibling has its id already and is counted there. One whose client
    disconnected before the answer began is counted with the status 499, without a duration.
    """
    forwarded = from_sibling(request)
    identity = request.headers.get(REQUEST_ID, "") if forwarded else secrets.token_hex(8)
    log_request_id.set(identity)
    loop = asyncio.get_running_loop()
    began = loop.time()
    count = partial(request.app[NODE].metrics.http.request, request.method, _route(request))
    try:
        response = await handler(request)
    except asyncio.CancelledError:
        if not forwarded:
            count(CLIENT_CLOSED_REQUEST, None)
        raise
    if not response.prepared:
        response.headers[REQUEST_ID] = identity
        response.headers.update(request.get(RATE_HEADERS, {}))
        if warnings := request.get(WARNINGS):
            response.headers[WARNING] = ", ".join(warnings)
    if not forwarded:
        abandoned = has_left(request) and not response.prepared
        status = CLIENT_CLOSED_REQUEST if abandoned else response.status
        timed = status != CLIENT_CLOSED_REQUEST and not _is_stream(response)
        count(status, loop.time() - began if timed else None)
    return response


@web.middleware
async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse unknown host names, against DNS rebinding."""
    hosts = request.app[SITE].hosts
    known = hosts is None or request.path in PROBES or host_name(request.host) in hosts
    if known or from_sibling(request):  # which has checked the name; it may be its machine's own
        return await handler(request)
    raise Forbidden(
        "this bridge does not answer to this host name: http.allowed_hosts lists those it answers "
        "to besides localhost and the host of http.public_url"
    )


@web.middleware
async def allow_origins(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer CORS requests of the allowed origins; there are no cookies to protect."""
    origin = request.headers.get("Origin")
    allowed = request.app[SITE].cors_origins
    if origin is None:
        return await handler(request)
    if "*" not in allowed and origin not in allowed and not same_origin(request):
        raise Forbidden("this origin is not in http.cors_origins")
    preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    response = web.Response(status=204, headers=PREFLIGHT) if preflight else await handler(request)
    if not response.prepared:
        allow_page(request, response)
    return response


@web.middleware
async def bound_large_bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a line's large request while the line is at its limit (`limits.large_bodies_per_line`)."""
    # The body of an unauthenticated request is not read.
    access = request.app[ACCESS].keys.find(request) if _is_large(request) else None
    if access is None:
        return await handler(request)
    with request.app[ACCESS].large_bodies.one(access.line):
        return await handler(request)


@web.middleware
async def flush_events(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send no reply before the events it reports are on disk and visible to all nodes.

    Probes and scrapes report none, and are answered while the database hangs.
    """
    if request.path in PROBES or request.path == "/metrics":
        return await handler(request)
    try:
        return await handler(request)
    finally:
        if request.path != OFFER or request.app[CLUSTER].directory is not None:
            await request.app[EVENTS].log.flush()


@web.middleware
async def note_use(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Restart the timeout of a call without a browser (`limits.abandoned_seconds`).

    A browser's close request does not count, since it means that the browser leaves.
    """
    response = await handler(request)
    if request.method in CHANGES and request.path != CLOSE:
        calls = request.app[CONTROL].manager.calls()
        abandoned = [one for one in calls if one.machine.legs.usage.abandoned_since is not None]
        call_id = await call_named_by(request) if abandoned else None
        access = request.app[ACCESS].keys.find(request, query=False) if call_id else None
        for runner in abandoned:
            if access and (runner.facts.call_id, runner.facts.line) == (call_id, access.line):
                runner.dispatch(events.CallUsed())
    return response


IN_ORDER = (
    count_unauthenticated,
    identify,
    answer_errors,
    check_host,
    allow_origins,
    answer_errors,
    refuse_overload,
    bound_large_bodies,
    flush_events,
)
"""Outermost first; errors are answered inside CORS, so that pages may read them, and around it."""


async def protect(_request: web.Request, response: web.StreamResponse) -> None:
    """Forbid browsers to guess another content type, and hide the server's version."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.pop("Server", None)


def allow_page(request: web.Request, response: web.StreamResponse) -> None:
    """Let a page of an allowed origin read the response."""
    origin = request.headers.get("Origin")
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
        response.headers.add("Vary", "Origin")


def has_left(request: web.Request) -> bool:
    """Whether the client's connection has ended."""
    return request.transport is None or request.transport.is_closing()


def ended_by_client(request: web.Request, error: Exception) -> bool:
    """Whether an error only means that the client has disconnected, while it sent its body or was answered."""
    told = isinstance(error, ConnectionError) or error is request.content.exception()
    return told and has_left(request)


def from_sibling(request: web.Request) -> bool:
    """Whether a sibling sent the request, its own or a forwarded one (`cluster.siblings`)."""
    return request.get(FROM_SIBLING, False) or from_unix_socket(request)


def _is_large(request: web.Request) -> bool:
    """Whether the body is large, or may be; routes that take none answer 413 to it, unread."""
    if request.path not in LARGE_BODIES and not request.content_type.startswith("multipart/"):
        return False
    length = request.content_length
    return request.body_exists if length is None else length > BODY_BYTES


def _is_stream(response: web.StreamResponse) -> bool:
    """Whether the answer is a WebSocket or an event stream."""
    return response.status == HTTPStatus.SWITCHING_PROTOCOLS or (
        response.content_type == EVENT_STREAM
    )


def _route(request: web.Request) -> str:
    """Return the route's pattern, which bounds the number of the metric's labels."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNMATCHED


def _log_failure(request: web.Request, error: BridgeError) -> None:
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, Unsupported):
        return
    why = {"limit": error.limit} if isinstance(error, LimitExceeded) else {}
    log.warning("request.failed", extra={"code": error.code, **why, "route": _route(request)})


def _as_documented(path: str, error: BridgeError) -> BridgeError:
    if isinstance(error, CallEnded) and HIDES_ENDED_CALLS.match(path):
        return CallNotFound(str(error))
    return error


def _as_bridge_error(request: web.Request, error: web.HTTPException) -> BridgeError:
    """Return an error of aiohttp as one of ours, with its status."""
    if error.status == HTTPStatus.NOT_FOUND and LIVEKIT_SERVER_PATHS.match(request.path):
        return NotFound(
            "this is no LiveKit server: its client SDKs can join calls, but it has no RoomService, egress, "
            "ingress, SIP service or agents' workers; calls are controlled by the routes of /docs"
        )
    if error.status == HTTPStatus.NOT_FOUND:
        return NotFound("no such route; /docs lists all of them")
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowed(f"method {request.method} is not allowed on this path")
    known: BridgeError = InvalidRequest(error.reason)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        known = BridgeError(error.reason)
    known.status = error.status
    return known
