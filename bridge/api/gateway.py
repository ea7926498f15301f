"""Where gateway engines post their events."""

from typing import Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import read_bytes
from bridge.api.services import SERVICES
from bridge.call.model import LineName
from bridge.wire.gateway import read_webhook

NODE_PATH: Final = "/node/gateway"
"""Where nodes give each other the events of a line's engine."""


async def webhook(request: web.Request) -> web.Response:
    """Take an event of the line's engine; it only makes the bridge look at the engine's calls.

    Engines sign nothing and can set no header, so that the key may stand in the query as `token`.
    Of several nodes all are told: one takes the rings, and any may have the call.
    """
    line = request.app[SERVICES].keys.webhook_line(request)
    body = await read_bytes(request)
    request.app[SERVICES].gateways.handle_event(line, read_webhook(body, request.content_type))
    siblings = request.app[SERVICES].siblings
    if siblings is not None:
        headers = {"Content-Type": request.content_type}
        await siblings.post_all(NODE_PATH, headers=headers, body=body, line=line)
    return render.success({"ok": True})


async def sibling_webhook(request: web.Request) -> web.Response:
    """Take an event that a line's engine posted to another node."""
    body = await read_bytes(request)
    line = LineName(request.query["line"])
    request.app[SERVICES].gateways.handle_event(line, read_webhook(body, request.content_type))
    return web.Response()


ROUTES = (web.post("/gateway/webhook", webhook),)
NODE_ROUTES = (web.post(NODE_PATH, sibling_webhook),)
