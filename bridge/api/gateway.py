"""Where gateway engines post their events."""

from aiohttp import web

from bridge.api import render
from bridge.api.body import read_bytes
from bridge.api.keys import KEYS
from bridge.node.gateway import GatewayProvider
from bridge.wire.gateway import read_webhook

GATEWAY: web.AppKey[GatewayProvider] = web.AppKey("gateway", GatewayProvider)


async def webhook(request: web.Request) -> web.Response:
    """Take an event of the line's engine; it only makes the bridge look at the engine's calls.

    Engines sign nothing and can set no header, so that the key may stand in the query as `token`.
    """
    line = request.app[KEYS].line(request, query=True)
    event = read_webhook(await read_bytes(request), request.content_type)
    request.app[GATEWAY].told(line, event)
    return render.success({"ok": True})


ROUTES = (web.post("/gateway/webhook", webhook),)
