"""The routes between nodes, of an application that only siblings reach (`net.siblings`)."""

import msgspec
from aiohttp import web

from bridge.api import cloud, gateway, health, scrape
from bridge.api.body import MAX_BYTES
from bridge.api.middleware import answer_errors, identify
from bridge.api.services import SERVICES
from bridge.call.model import LineName
from bridge.node.directory import CALLS_PATH
from bridge.node.lines import LINES_PATH


async def calls(request: web.Request) -> web.Response:
    """List a line's live calls on this node, or those that have ended."""
    line, manager = LineName(request.query["line"]), request.app[SERVICES].manager
    records = manager.ended(line) if "ended" in request.query else manager.list_own(line)
    return web.Response(body=msgspec.json.encode(records), content_type="application/json")


async def ready(request: web.Request) -> web.Response:
    """Report whether this node takes calls."""
    return web.Response(status=200 if health.takes_calls(request.app[SERVICES]) else 503)


async def metrics(request: web.Request) -> web.Response:
    """Return this node's metrics."""
    return web.Response(body=scrape.own(request.app[SERVICES]))


async def lines(request: web.Request) -> web.Response:
    """Reload the lines, which have changed."""
    await request.app[SERVICES].lines.reload()
    await request.app[SERVICES].line_book.reload()
    return web.Response()


ROUTES = (
    web.get(CALLS_PATH, calls),
    web.get(health.READY_PATH, ready),
    web.get(scrape.METRICS_PATH, metrics),
    web.get(LINES_PATH, lines),
    *gateway.NODE_ROUTES,
    *cloud.NODE_ROUTES,
)


def node_application(served: web.Application) -> web.Application:
    """Return the application for siblings, with the services of the one for clients."""
    application = web.Application(middlewares=(identify, answer_errors), client_max_size=MAX_BYTES)
    application.add_routes(ROUTES)
    application.update(served)
    return application
