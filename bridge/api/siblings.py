"""The routes between nodes, of an application that only siblings reach (`cluster.siblings`).

Bodies are read by `read_bytes` or `request.read()`: a signed request's body has been read to check it.
"""

import msgspec
from aiohttp import web
from msgspec import UNSET

from bridge.api.calls.history import ENTRIES_PATH, live_entries
from bridge.api.forward import receive
from bridge.api.lines import cloud, gateway
from bridge.api.media import recording_files
from bridge.api.operations import drain, health, nodes, scrape, sip
from bridge.api.server.middleware import answer_errors, identify
from bridge.api.server.reads import MAX_BYTES
from bridge.api.server.services import SERVICES
from bridge.call.model import LineName
from bridge.cluster.directory import CALLS_PATH
from bridge.cluster.siblings import IDENTITY_PATH, NodeIdentity
from bridge.media.machine_files import FILES_PATH
from bridge.node.console.console import SNAPSHOT_PATH
from bridge.node.lines import LINES_PATH
from bridge.node.runner import CallRunner


async def calls(request: web.Request) -> web.Response:
    """List a line's live calls on this node."""
    line, manager = LineName(request.query["line"]), request.app[SERVICES].manager
    records = await manager.describe(line, CallRunner.record)
    return web.Response(body=msgspec.json.encode(records), content_type="application/json")


async def entries(request: web.Request) -> web.Response:
    """List the live calls of a line on this node, or of all lines, as `GET /calls` shows them."""
    line = request.query.get("line")
    found = await live_entries(request.app[SERVICES].manager, LineName(line) if line else None)
    return web.Response(body=msgspec.json.encode(found), content_type="application/json")


async def console(request: web.Request) -> web.Response:
    """Describe this node for another node's consoles."""
    view = request.app[SERVICES].node_view
    found = await view.snapshot(history="history" in request.query)
    return web.Response(body=msgspec.json.encode(found), content_type="application/json")


async def identity(request: web.Request) -> web.Response:
    """Return which process this is, so that nobody takes it for dead."""
    siblings = request.app[SERVICES].siblings
    if siblings is None:
        raise web.HTTPNotFound
    own = siblings.members.own
    return web.Response(body=msgspec.json.encode(NodeIdentity(own.node, own.boot)))


async def ready(request: web.Request) -> web.Response:
    """Report that this node is there, and how its trunks are if it has them.

    Also while it drains, which others may not know yet: it is not missing then.
    """
    trunks = health.own_trunks(request.app[SERVICES])
    return web.Response(body=b"" if trunks is UNSET else msgspec.json.encode(trunks))


async def metrics(request: web.Request) -> web.Response:
    """Return this node's metrics."""
    return web.Response(body=await scrape.own(request.app[SERVICES]))


async def asset(request: web.Request) -> web.FileResponse:
    """Return the file of an audio asset that is on this machine."""
    path = await request.app[SERVICES].assets.path_here(request.match_info["assetId"])
    return web.FileResponse(path)


async def lines(request: web.Request) -> web.Response:
    """Reload the lines, which have changed."""
    await request.app[SERVICES].lines.reload()
    await request.app[SERVICES].line_book.reload()
    return web.Response()


ROUTES = (
    web.get(CALLS_PATH, calls),
    web.get(ENTRIES_PATH, entries),
    web.get(SNAPSHOT_PATH, console),
    web.get(IDENTITY_PATH, identity),
    web.get(health.READY_PATH, ready),
    web.get(scrape.METRICS_PATH, metrics),
    web.get(LINES_PATH, lines),
    web.get(FILES_PATH + "/assets/{assetId}", asset),
    *gateway.NODE_ROUTES,
    *cloud.NODE_ROUTES,
    *sip.NODE_ROUTES,
    *drain.NODE_ROUTES,
    *nodes.NODE_ROUTES,
    *recording_files.NODE_ROUTES,
)


def node_application(served: web.Application) -> web.Application:
    """Return the application for siblings, with the services of the one for clients."""
    application = web.Application(
        middlewares=(receive, identify, answer_errors), client_max_size=MAX_BYTES
    )
    application.add_routes(ROUTES)
    application.update(served)
    return application
