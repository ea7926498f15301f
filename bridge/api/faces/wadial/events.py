"""WADial's event stream of a session."""

from aiohttp import web

from bridge.api.events.events import STREAM, After, stream_events
from bridge.api.faces.wadial.calls import SESSION, line_of
from bridge.api.faces.wadial.words import WADIAL
from bridge.api.server.operation import QUERY, Context
from bridge.wire.webhook import wadial


@WADIAL.get(
    SESSION + "/events",
    auth=QUERY,
    content="text/event-stream",
    gives=STREAM,
    errors=(404, 503),
)
async def events(context: Context, query: After) -> web.StreamResponse:
    """Stream what happens on a session."""
    line_of(context)
    return await stream_events(context, query, wadial.body)
