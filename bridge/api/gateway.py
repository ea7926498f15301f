"""Where gateway engines post their events."""

from aiohttp import web

from bridge.api import render
from bridge.api.body import read_bytes
from bridge.api.keys import KEYS, SIBLINGS
from bridge.api.middleware import from_sibling
from bridge.node.gateway import GatewayProvider
from bridge.wire.gateway import read_webhook

PASSED_ON = ("Content-Type", "Authorization", "token")
"""The headers that matter."""
GATEWAY: web.AppKey[GatewayProvider] = web.AppKey("gateway", GatewayProvider)


async def webhook(request: web.Request) -> web.Response:
    """Take an event of the line's engine; it only makes the bridge look at the engine's calls.

    Engines sign nothing and can set no header, so that the key may stand in the query as `token`.
    Of several nodes all are told: one takes the rings, and any may have the call.
    """
    line = request.app[KEYS].line(request, query=True)
    body = await read_bytes(request)
    request.app[GATEWAY].told(line, read_webhook(body, request.content_type))
    siblings = request.app.get(SIBLINGS)
    if siblings is not None and not from_sibling(request):
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        await siblings.tell_all(request.rel_url.raw_path_qs, headers=headers, body=body)
    return render.success({"ok": True})


ROUTES = (web.post("/gateway/webhook", webhook),)
