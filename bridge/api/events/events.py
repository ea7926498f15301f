"""Event streams (server-sent events) of a line and of one call.

Each event is one `data:` line of JSON with the event's number as its id, without a name, so that
`onmessage` gets all. A client resumes with `Last-Event-ID`, as far as events are stored.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from aiohttp import web
from msgspec import Struct

from bridge.api.server import sse
from bridge.api.server.fields import field, wrong_field
from bridge.api.server.listing import find_call
from bridge.api.server.operation import QUERY, QUERY_TICKET, Context, Group, Schema
from bridge.api.server.services import EVENTS
from bridge.call.model import CallRecord
from bridge.stores.events import Numbered
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.party_events import as_seen_by
from bridge.wire.webhook.formats import native

HEARTBEAT_SECONDS: Final = 15.0
LINGER_SECONDS: Final = 5.0
"""How long a call's stream stays open after the call's end and the last event."""
LAST_EVENT_ID: Final = "Last-Event-ID"
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
    record = (await find_call(context)).record
    access.check_call_lives(ended=record.reason is not None)
    render = native if access.ticket is None else partial(_for_ticket, access.ticket.party)
    return await stream_events(context, query, render, record)


def _for_ticket(party: str, event: CallEvent) -> dict[str, Any] | None:
    seen = as_seen_by(party, event)
    return native(seen) if seen else None


async def stream_events(
    context: Context, query: After, render: Renderer, call: CallRecord | None = None
) -> web.StreamResponse:
    """Send the events of a line, or of one of its calls, as they happen."""
    request, line, events = context.http, context.line, context[EVENTS].log
    after = _last_event_id(request, query)
    call_id = call.facts.call_id if call else None
    if after is None:
        after = 0 if call else await events.last()
    if call and call.reason and not await events.read(after, line, call_id):
        return web.Response(status=204)  # which stops a browser from reconnecting
    idle = LINGER_SECONDS if call else HEARTBEAT_SECONDS
    found = events.listen(line, call_id=call_id, after=after, idle=idle)
    return await sse.send(context, _pieces(found, render, one_call=call is not None))


async def _pieces(
    found: AsyncGenerator[Numbered | None, None], render: Renderer, *, one_call: bool
) -> AsyncGenerator[bytes, None]:
    """Yield events until there are no more; of one call, until it is idle after its end."""
    ended = False
    async with aclosing(found):
        async for item in found:
            if item is not None:
                number, event = item
                ended = ended or event.type == EventType.CALL_ENDED
                if (body := render(event)) is not None:
                    yield sse.event(msgspec.json.encode(body), number=number)
            elif ended and one_call:
                return
            else:
                yield sse.QUIET


def _last_event_id(request: web.Request, query: After) -> int | None:
    """Return the number of the last event that the client has; None when it has none."""
    text = request.headers.get(LAST_EVENT_ID) or query.last_event_id
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise wrong_field(LAST_EVENT_ID, "expected the id of an event")
    return int(text)
