"""Where gateways post their events."""

from typing import Final

from aiohttp import web

from bridge.api.server.body import read_bytes
from bridge.api.server.operation import GATEWAY, Context, Done, Group
from bridge.api.server.services import CLUSTER, LINES
from bridge.call.model import LineName
from bridge.wire.gateway import read_webhook

NODE_PATH: Final = "/node/gateway"
"""Where nodes forward the events of a line's gateway."""


GROUP: Final = Group(name="WhatsApp and gateways", auth=GATEWAY)


@GROUP.post("/gateway/webhook", takes={"type": "object"}, errors=(409,))
async def webhook(context: Context) -> Done:
    """Receive an event of a line's gateway: the gateway's calls are polled at once.

    Gateways sign nothing and can set no header, so the key may be in the query as `token`.
    """
    body = await read_bytes(context.http)
    kind, line = context.http.content_type, context.line
    context[LINES].gateways.handle_event(line, read_webhook(body, kind))
    # Any node may have the call.
    if (siblings := context[CLUSTER].siblings) is not None:
        headers = {"Content-Type": kind}
        await siblings.request_all(NODE_PATH, None, headers, body, line=line)
    return Done()


async def sibling_webhook(request: web.Request) -> web.Response:
    """Handle an event that a line's gateway posted to another node."""
    body = await read_bytes(request)
    line = LineName(request.query["line"])
    request.app[LINES].gateways.handle_event(line, read_webhook(body, request.content_type))
    return web.Response()
