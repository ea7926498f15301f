"""Forwarding of requests about a call to the node that owns it, in a bridge of several nodes.

The owner is read from the call's id, in the path or the body. Plain requests go over kept connections,
a WebSocket through a tunnel of bytes. A request from a sibling is never forwarded again.
"""

import asyncio

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict

from bridge.api.call_owner import (
    answer_here,
    check_here,
    find_owner,
    moved_to,
    recover_ended,
    shared_directory,
    wait_until_known,
)
from bridge.api.routes import SOCKETS, STARTS_CALLS, UNCOUNTED
from bridge.api.server.auth import note_rate
from bridge.api.server.body import call_named_by, named_call, read_bytes
from bridge.api.server.middleware import (
    CLIENT_CLOSED_REQUEST,
    FROM_SIBLING,
    REQUEST_ID,
    Handler,
    from_sibling,
    has_left,
)
from bridge.api.server.services import ACCESS, CLUSTER, CONTROL
from bridge.api.tunnel import HOP_BY_HOP, tunnel, without
from bridge.cluster.directory import owner_of
from bridge.cluster.siblings import Siblings
from bridge.cluster.sockets import KERNEL_BUFFER, narrow
from bridge.errors import NodeUnavailable, OwnerUnavailable
from bridge.log import request_id as log_request_id
from bridge.wire.call_id import native
from bridge.wire.node_signature import HEADER

MOVED = "Bridge-Moved"
"""In a request that has been passed on since the call moved: the number of the node that had it."""
NOT_FORWARDED = frozenset(
    {"x-request-id", "origin", "content-length", "expect", HEADER.lower(), MOVED.lower()}
)
"""The origin is checked here, the length set anew; a client's own signature means nothing."""
NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    ConnectionRefusedError,
)
"""Errors after which a node has not got the request, or has refused its signature."""
SAFE = (hdrs.METH_GET, hdrs.METH_HEAD)
"""Methods of requests that may be sent twice."""
NOT_PASSED_ON = frozenset({"content-length", "expect"})
"""What another process of the machine is not told of a request that came to `cluster.url`."""


@web.middleware
async def receive(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Admit a request that has come to `cluster.url`, and answer it or pass it on within the machine."""
    gate = request.app[CLUSTER].sibling_gate
    if gate is None or not gate.arrived(request):
        return await handler(request)
    try:
        found = await gate.admit(request)
    except ConnectionError:
        return web.Response(status=CLIENT_CLOSED_REQUEST)
    if isinstance(found, web.Response):
        return found
    if gate.answered_here(request, found):
        request[FROM_SIBLING] = True
        return await handler(request)
    return await _pass_on(request, gate.siblings, found.target)


@web.middleware
async def limit_rate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count a request against its key's limit, which holds over all nodes."""
    rate, key = request.app[ACCESS].rate, request.app[ACCESS].keys.rate_key(request)
    counted = request.match_info.handler not in UNCOUNTED and not from_sibling(request)
    if rate.limited and key is not None and counted:
        left = 0.0
        try:
            left = await shared_directory(request).spend(key, rate.take)
        finally:
            note_rate(request, rate, left)
    return await handler(request)


@web.middleware
async def forward_to_owner(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Forward a request about another node's call to that node."""
    siblings = shared_directory(request).siblings
    if from_sibling(request):
        return await _forward_moved(request, siblings, handler)
    if request.match_info.http_exception is not None:
        return await handler(request)
    call_id = await _call_id(request)
    if call_id is None:
        answer = await _forward_new(request, siblings)
    else:
        answer = await _forward_call(request, siblings, call_id)
    return await answer_here(request, handler, call_id) if answer is None else answer


async def _forward_new(request: web.Request, siblings: Siblings) -> web.StreamResponse | None:
    """Forward a request that begins a call to the node chosen for it; None if it is to be handled here."""
    chosen = await _chosen_node(request)
    if chosen is None or chosen == siblings.own or siblings.members.find(chosen) is None:
        return None
    try:
        return await _forward(request, siblings, chosen, _forwarded_headers(request))
    except (aiohttp.ClientError, OSError, EOFError, TimeoutError) as error:
        _note_silence(request, siblings, chosen, error)
        if not isinstance(error, NOT_SENT):
            # It may have begun the call: another could make a phone ring twice.
            raise NodeUnavailable("the node chosen for the call does not answer") from error
    return None


async def _forward_call(
    request: web.Request, siblings: Siblings, call_id: str
) -> web.StreamResponse | None:
    """Forward a request about a call to the node that has it; None if it is to be handled here.

    Raises:
        OwnerUnavailable, CallMoving: the client has to repeat the request.
    """
    owner = await find_owner(request, call_id)
    if owner is not None and owner != siblings.own:
        await wait_until_known(request, siblings, owner, call_id)
    silent = None
    while owner not in (None, siblings.own, silent) and siblings.members.find(owner) is not None:
        # Also one that has lost the database, and keeps its calls.
        try:
            return await _forward(request, siblings, owner, _forwarded_headers(request))
        except (aiohttp.ClientError, OSError, EOFError, TimeoutError) as error:
            _note_silence(request, siblings, owner, error)
            if not isinstance(error, NOT_SENT) and request.method not in SAFE:
                break
        # It may have passed the call on, and ended.
        silent, owner = owner, await find_owner(request, call_id, asked_here=True)
        if owner == silent:
            owner = await recover_ended(request, call_id, silent)
    if owner == siblings.own:
        await check_here(request, call_id)
    elif owner is not None and await recover_ended(request, call_id, owner) is not None:
        raise OwnerUnavailable("another node has taken the call over; repeat the request")
    return None


async def _forward_moved(
    request: web.Request, siblings: Siblings, handler: Handler
) -> web.StreamResponse:
    """Answer a sibling's request, or pass it on to the node that has taken the call over.

    By what the database says that is done once; a node that has passed the call on itself always knows better.
    """
    call_id = None
    if request.match_info.http_exception is None and (call_id := await _call_id(request)):
        owner = await moved_to(request, call_id)
        if owner is None and MOVED not in request.headers:
            owner = await find_owner(request, call_id, asked_here=True)
            if owner == owner_of(call_id):
                owner = None  # it has never moved: whoever asks here is mistaken
        if owner is not None and owner != siblings.own:
            await wait_until_known(request, siblings, owner, call_id)
        if owner not in (None, siblings.own) and siblings.members.find(owner) is not None:
            headers = _forwarded_headers(request)
            headers[MOVED] = str(siblings.own)
            try:
                return await _forward(request, siblings, owner, headers)
            except (aiohttp.ClientError, OSError, EOFError, TimeoutError) as error:
                _note_silence(request, siblings, owner, error)
        await check_here(request, call_id)
    if _upgrades(request) and request.transport is not None:
        narrow(request.transport)
    return await answer_here(request, handler, call_id)


def _note_silence(request: web.Request, siblings: Siblings, owner: int, error: Exception) -> None:
    """Note that a node did not answer; raise `ConnectionResetError` if it is the client that has left."""
    if has_left(request):
        raise ConnectionResetError("the client has gone") from error
    siblings.note_silence(owner, error)


def _upgrades(request: web.Request) -> bool:
    """Whether it asks for a WebSocket on a route that has one; elsewhere an upgrade is ignored."""
    asked = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
    return asked and request.match_info.handler in SOCKETS


async def _chosen_node(request: web.Request) -> int | None:
    """Return the node for the call that a request begins; None when it begins none."""
    if request.match_info.handler in STARTS_CALLS and request.app[ACCESS].keys.admits(request):
        admission = request.app[CONTROL].manager.admission
        if (placement := request.app[CLUSTER].placement) is not None:
            return await placement.choose(
                overloaded=bool(admission.overloaded()), draining=admission.draining
            )
    return None


async def _call_id(request: web.Request) -> str | None:
    """Return the native id of the call that a request is about."""
    keys = request.app[ACCESS].keys
    access = keys.find(request)
    ticket = access.ticket if access else None
    found = named_call(request.match_info) or (ticket.call_id if ticket else None)
    # Requests without a valid key are answered here: they must not load two nodes.
    if (found or request.body_exists) and not keys.admits(request):
        return None
    return (native(found) or found) if found else await call_named_by(request)


async def _pass_on(request: web.Request, siblings: Siblings, node: int) -> web.StreamResponse:
    """Pass a request that has come to `cluster.url` on to a node of this machine, signature and all."""
    try:
        return await _forward(request, siblings, node, without(request.headers, NOT_PASSED_ON))
    except (aiohttp.ClientError, OSError, EOFError, TimeoutError):
        return web.Response(status=502)


async def _forward(
    request: web.Request, siblings: Siblings, node: int, headers: CIMultiDict[str]
) -> web.StreamResponse:
    """Forward a request with these headers.

    Raises:
        aiohttp.ClientError, OSError, EOFError, TimeoutError: the node does not answer.
    """
    if _upgrades(request):
        return await tunnel(request, siblings, node, headers)
    return await _proxy(request, siblings, node, without(headers, HOP_BY_HOP))


async def _proxy(
    request: web.Request, siblings: Siblings, owner: int, headers: CIMultiDict[str]
) -> web.StreamResponse:
    body = await read_bytes(request) if request.body_exists else None
    async with asyncio.timeout(siblings.answer_seconds(owner)) as deadline:
        upstream = await siblings.send(
            owner,
            request.method,
            request.rel_url.raw_path_qs,
            headers=headers,
            body=body,
        )
        async with upstream:
            headers = without(upstream.headers, HOP_BY_HOP)
            if upstream.content_length is not None and upstream.content_length <= KERNEL_BUFFER:
                content = await upstream.read()
                return web.Response(status=upstream.status, headers=headers, body=content)
            deadline.reschedule(None)
            return await _stream(request, upstream, headers)


async def _stream(
    request: web.Request, upstream: aiohttp.ClientResponse, headers: CIMultiDict[str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=upstream.status, headers=headers)
    await response.prepare(request)
    try:
        async for piece in upstream.content.iter_any():
            await response.write(piece)
    except (aiohttp.ClientError, OSError):
        # The client must not take a truncated body for a complete one.
        if request.transport is not None:
            request.transport.abort()
    return response


def _forwarded_headers(request: web.Request) -> CIMultiDict[str]:
    """Return the request's headers for the owner, with the id that both logs have."""
    headers = without(request.headers, NOT_FORWARDED)
    headers[REQUEST_ID] = log_request_id.get()
    return headers
