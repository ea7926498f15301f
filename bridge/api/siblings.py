"""What nodes ask each other, over their own sockets only (`net.siblings`)."""

import msgspec
from aiohttp import web

from bridge.api import health, scrape, whatsapp
from bridge.api.keys import LINES, MANAGER
from bridge.api.middleware import from_sibling
from bridge.call.model import LineName
from bridge.node.directory import CALLS_PATH
from bridge.node.lines import LINES_PATH


async def calls(request: web.Request) -> web.Response:
    """List a line's live calls on this node, or those that have ended."""
    _from_sibling_only(request)
    line, manager = LineName(request.query["line"]), request.app[MANAGER]
    records = manager.ended(line) if "ended" in request.query else manager.list_own(line)
    return web.Response(body=msgspec.json.encode(records), content_type="application/json")


async def ready(request: web.Request) -> web.Response:
    """Say whether this node takes calls."""
    _from_sibling_only(request)
    return web.Response(status=200 if health.takes_calls(request.app) else 503)


async def metrics(request: web.Request) -> web.Response:
    """Give this node's metrics."""
    _from_sibling_only(request)
    return web.Response(body=scrape.own(request.app))


async def lines(request: web.Request) -> web.Response:
    """Learn that the lines have changed."""
    _from_sibling_only(request)
    await request.app[LINES].reload()
    return web.Response()


ROUTES = (
    web.get(CALLS_PATH, calls),
    web.get(health.READY_PATH, ready),
    web.get(scrape.METRICS_PATH, metrics),
    web.get(LINES_PATH, lines),
    *whatsapp.NODE_ROUTES,
)


def _from_sibling_only(request: web.Request) -> None:
    if not from_sibling(request):
        raise web.HTTPNotFound
