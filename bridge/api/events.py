"""Event streams (server-sent events) of a line and of one call, and replies that wait for events.

Each event is one `data:` line of JSON with the event's number as its id, without a name, so that
`onmessage` gets all. A client resumes with `Last-Event-ID`, as far as events are stored.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from bridge.api import webrtc
from bridge.api.fields import field
from bridge.api.middleware import Handler, allow_page
from bridge.api.operation import QUERY, QUERY_TICKET, Context, Group, Schema
from bridge.api.services import SERVICES
from bridge.call.model import CallRecord
from bridge.errors import InvalidRequest
from bridge.net.event_store import Numbered
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.party_events import as_seen_by
from bridge.wire.webhook import native

HEARTBEAT_SECONDS: Final = 15.0
STUCK_SECONDS: Final = 10.0
"""A client that reads nothing for so long is disconnected; it may resume with `Last-Event-ID`."""
LINGER_SECONDS: Final = 5.0
"""How long a call's stream stays open after the call's end and the last event."""
WRITE_BUFFER: Final = 64 * 1024
LAST_EVENT_ID: Final = "Last-Event-ID"
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}

Renderer: TypeAlias = Callable[[CallEvent], dict[str, Any] | None]
"""Renders an event; None when it is not for this client."""


STREAM: Final[Schema] = {
    "type": "string",
    "description": "server-sent events; one line `data:` of JSON each",
}
GROUP: Final = Group(name="Events and webhooks", auth=QUERY)


class After(Struct, rename="camel"):
    """Where to continue."""

    last_event_id: Annotated[str, field("as the header `Last-Event-ID`", pattern="^([0-9]+)?$")] = (
        ""
    )


@GROUP.get("/events", content="text/event-stream", gives=STREAM, errors=(503,))
async def of_line(context: Context, query: After) -> web.StreamResponse:
    """Stream what happens on the line."""
    return await stream_events(context, query, native)


@GROUP.get(
    "/call/{callId}/events",
    auth=QUERY_TICKET,
    content="text/event-stream",
    gives=STREAM,
    errors=(404, 502, 503),
    also={204: None},
)
async def of_call(context: Context, query: After) -> web.StreamResponse:
    """Stream what happens to one call, from its beginning until a while after its end.

    204 when the call has ended and no event is left to send.
    """
    access = context.access
    line = access.line_for(context.call_id)
    record = context.services.manager.record(line, context.call_id)
    access.check_call_lives(ended=record.reason is not None)
    render = native if access.ticket is None else partial(_for_ticket, access.ticket.party)
    return await stream_events(context, query, render, record)


OPERATIONS: Final = (of_line, of_call)


def _for_ticket(party: str, event: CallEvent) -> dict[str, Any] | None:
    seen = as_seen_by(party, event)
    return native(seen) if seen else None


@web.middleware
async def settle(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send no reply before the events it reports are on disk and visible to all nodes."""
    try:
        return await handler(request)
    finally:
        if request.match_info.handler != webrtc.offer.answer:  # it reports no end, and is urgent
            await request.app[SERVICES].events.settled()
        if (directory := request.app[SERVICES].directory) is not None:
            await directory.settled()


async def stream_events(
    context: Context, query: After, render: Renderer, call: CallRecord | None = None
) -> web.StreamResponse:
    """Send the events of a line, or of one of its calls, as they happen."""
    request, line, events = context.http, context.line, context.services.events
    after = _last_event_id(request, query)
    call_id = call.facts.call_id if call else None
    if after is None:
        after = 0 if call else await events.last()
    if call and call.reason and not await events.read(after, line, call_id):
        return web.Response(status=204)  # which stops a browser from reconnecting
    response = web.StreamResponse(headers=HEADERS)
    allow_page(request, response)
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=WRITE_BUFFER)
    idle = LINGER_SECONDS if call else HEARTBEAT_SECONDS
    found = events.listen(line, call_id=call_id, after=after, idle=idle)
    async with contextlib.aclosing(found):
        try:
            await _send(response, found, render, one_call=call is not None)
        except TimeoutError:
            context.services.metrics.events.event_stream_cut()
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # the client has gone
    return response


async def _send(
    response: web.StreamResponse,
    found: AsyncIterator[Numbered | None],
    render: Renderer,
    *,
    one_call: bool,
) -> None:
    """Write events until there are no more; of one call, until it is idle after its end.

    Raises:
        TimeoutError: the client does not read.
        ConnectionError: the client has gone.
    """
    ended = False
    await _write(response, b"retry: 2000\n\n")
    async for item in found:
        if item is not None:
            number, event = item
            ended = ended or event.type == EventType.CALL_ENDED
            if (body := render(event)) is not None:
                data = msgspec.json.encode(body)
                await _write(response, b"id: %d\ndata: %b\n\n" % (number, data))
        elif ended and one_call:
            return
        else:
            await _write(response, b": nothing new\n\n")


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(STUCK_SECONDS):
        await response.write(piece)


def _last_event_id(request: web.Request, query: After) -> int | None:
    """Return the number of the last event that the client has; None when it has none.

    Raises:
        InvalidRequest: it is not the id of an event.
    """
    text = request.headers.get(LAST_EVENT_ID) or query.last_event_id
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise InvalidRequest(f"{LAST_EVENT_ID}: expected the id of an event", field=LAST_EVENT_ID)
    return int(text)
